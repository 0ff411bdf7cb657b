function 1 direct
       0  lea edi,[rdi+1]                                    ; 0x57 i32.add/add_const
       3  lea rax,[r15-48h]                                  ; 0x58 
       7  call qword ptr [r15-48h]                           ; 
       b  ret                                                ; 0x5a 

function 2 indirect
      10  mov rcx,[r15-38h]                                  ; 0x0 i64.field/load
      14  cmp esi,4                                          ; 0x61 call_indirect.slot_fixed/checked
      17  jae short 0000000000000032h                        ; 0x61 call_indirect.slot_fixed/checked
      19  sbb rax,rax                                        ; 0x61 call_indirect.slot_fixed/checked
      1c  and rax,rsi                                        ; 0x61 call_indirect.slot_fixed/checked
      1f  shl rax,4                                          ; 0x61 call_indirect.slot_fixed/checked
      23  add rax,rcx                                        ; 0x61 call_indirect.slot_fixed/checked
      26  mov ecx,[r15-4Ch]                                  ; 0x61 i32.field/load
      2a  cmp ecx,[rax+8]                                    ; 0x61 
      2d  jne short 0000000000000034h                        ; 
      2f  call qword ptr [rax]                               ; 0x61 
      31  ret                                                ; 0x64 
      32  ud2                                                ; 0x61 
      34  cmp dword ptr [rax+8],0                            ; 
      38  jne short 000000000000003Ch                        ; 
      3a  ud2                                                ; 
      3c  ud2                                                ; 0x61 

function 3 many
      40  mov rbx,[rsp+8]                                    ; 0x0 
      45  mov rbp,[rsp+10h]                                  ; 0x0 
      4a  lea rax,[rbp+rbx]                                  ; 0x6c i64.add/add
      4f  ret 10h                                            ; 0x6d 

function 4 small
      60  mov rbx,rdi                                        ; 0x0 
      63  shr rbx,21h                                        ; 0x76 i64.shr_u/by_const
      67  mov rax,rdi                                        ; 
      6a  xor rax,rbx                                        ; 0x77 i64.xor/any
      6d  ret                                                ; 0x78 

function 5 caller
      70  mov rbp,rdi                                        ; 0x0 
      73  shr rbp,21h                                        ; 0x7d i64.shr_u/by_const
      77  xor rdi,rbp                                        ; 0x7d i64.xor/any
      7a  mov rbp,rdi                                        ; 
      7d  shr rbp,21h                                        ; 0x7f i64.shr_u/by_const
      81  mov rax,rdi                                        ; 
      84  xor rax,rbp                                        ; 0x7f i64.xor/any
      87  ret                                                ; 0x81 

function 6 calls_many
      90  mov edi,1                                          ; 0x86 i32.const/any
      95  call 0                                             ; 0x86 
      9a  mov eax,0Fh                                        ; 0x9b i64.const/unsigned
      9f  ret                                                ; 0x9b 

