function 0 globals
       0  mov rbp,[r15-48h]                                  ; 0x0 i64.field/load
       4  mov esi,1                                          ; 0x50 i32.const/any
       9  mov [rbp],esi                                      ; 0x50 i32.cell.set/store
       c  mov rsi,[r15-60h]                                  ; 0x52 i64.global.get/load
      10  lea rsi,[rsi+1]                                    ; 0x56 i64.add/add_const
      14  mov [r15-60h],rsi                                  ; 0x57 i64.global.set/store
      18  mov rax,[r15-60h]                                  ; 0x59 i64.global.get/load
      1c  ret                                                ; 0x5b 

function 1 imported_memory
      20  mov rdx,[r15-38h]                                  ; 0x0 i64.field/load
      24  mov eax,[rdx+rdi+4]                                ; 0x60 i32.load/load
      28  ret                                                ; 0x63 

function 2 get
      30  mov rbp,[r15-40h]                                  ; 0x0 i64.field/load
      34  cmp edi,[rbp-10h]                                  ; 0x68 table.slot/checked
      37  jae short 000000000000004Ah                        ; 0x68 table.slot/checked
      39  sbb rsi,rsi                                        ; 0x68 table.slot/checked
      3c  and rsi,rdi                                        ; 0x68 table.slot/checked
      3f  shl rsi,4                                          ; 0x68 table.slot/checked
      43  add rsi,rbp                                        ; 0x68 table.slot/checked
      46  mov eax,[rsi+0Ch]                                  ; 0x68 slot.reference/load
      49  ret                                                ; 0x6a 
      4a  ud2                                                ; 0x68 

function 3 set
      50  mov rax,rdi                                        ; 0x0 
      53  xor edi,edi                                        ; 0x71 i32.const/zero
      55  mov rdx,rsi                                        ; 
      58  mov rsi,rax                                        ; 
      5b  mov eax,9                                          ; 0x71 
      60  call qword ptr [r15-8]                             ; 
      64  ret                                                ; 0x73 

function 4 null
      70  mov rsi,[r15-40h]                                  ; 0x0 i64.field/load
      74  cmp edi,[rsi-10h]                                  ; 0x78 table.slot/checked
      77  jae short 0000000000000092h                        ; 0x78 table.slot/checked
      79  sbb rax,rax                                        ; 0x78 table.slot/checked
      7c  and rax,rdi                                        ; 0x78 table.slot/checked
      7f  shl rax,4                                          ; 0x78 table.slot/checked
      83  add rax,rsi                                        ; 0x78 table.slot/checked
      86  mov eax,[rax+0Ch]                                  ; 0x78 slot.reference/load
      89  test eax,eax                                       ; 0x7a i32.eqz/eqz
      8b  sete al                                            ; 0x7a i32.eqz/eqz
      8e  movzx eax,al                                       ; 0x7a i32.eqz/eqz
      91  ret                                                ; 0x7b 
      92  ud2                                                ; 0x78 

