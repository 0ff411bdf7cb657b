function 0 load
       0  mov rax,[r15+rdi+10h]                              ; 0x3a i64.load/load
       5  ret                                                ; 0x3d 

function 1 far
      10  mov ebp,90000000h                                  ; 0x42 addr/own_far
      15  add rbp,rdi                                        ; 0x42 addr/own_far
      18  movsx eax,byte ptr [r15+rbp]                       ; 0x42 i32.load8_s/load
      1d  ret                                                ; 0x49 

function 2 dead
      20  mov ecx,[r15+rdi]                                  ; 0x4e i32.load/load
      24  ret                                                ; 0x52 

function 3 table
      30  movzx edx,dil                                      ; 0x5a i32.and/low_byte
      34  movsd xmm0,[r15+rdx*8+40h]                         ; 0x5e f64.load/load
      3b  ret                                                ; 0x61 

function 4 wraps
      40  shl edi,3                                          ; 0x68 i32.shl/by_const
      43  movsd xmm0,[r15+rdi+40h]                           ; 0x69 f64.load/load
      4a  ret                                                ; 0x6c 

function 5 constant
      50  mov dword ptr [r15+rdi],7                          ; 0x73 i32.store/constant
      58  ret                                                ; 0x76 

function 6 narrow
      60  mov [r15+rdi+2],si                                 ; 0x7d i64.store16/store
      66  ret                                                ; 0x80 

function 7 grow
      70  mov rsi,rdi                                        ; 0x0 
      73  xor edi,edi                                        ; 0x85 i32.const/zero
      75  mov eax,0                                          ; 0x85 
      7a  call qword ptr [r15-8]                             ; 
      7e  ret                                                ; 0x87 

