function 0 max
       0  cmp edi,esi                                        ; 0x35 cond/gt_s
       2  jle short 9                                        ; 0x35 br_if/cond
       4  mov rax,rdi                                        ; 
       7  jmp short 000000000000000Ch                        ; 0x39 
       9  mov rax,rsi                                        ; 
       c  ret                                                ; 0x3d 

function 1 count
      10  xor eax,eax                                        ; 0x42 i32.const/zero
      12  lea eax,[rax+rdi]                                  ; 0x48 i32.add/add
      15  lea edi,[rdi-1]                                    ; 0x4f i32.add/add_const
      18  test edi,edi                                       ; 0x52 cond/any
      1a  jne short 0000000000000012h                        ; 0x52 br_if/cond
      1c  ret                                                ; 0x57 

function 2 nan
      20  ucomisd xmm0,xmm1                                  ; 0x5f br_if/f64_eq
      24  jne short 000000000000002Eh                        ; 0x5f br_if/f64_eq
      26  jp short 000000000000002Eh                         ; 
      28  mov eax,1                                          ; 0x63 i32.const/any
      2d  ret                                                ; 0x63 
      2e  mov eax,2                                          ; 0x67 i32.const/any
      33  ret                                                ; 0x67 

function 3 switch
      40  mov ebp,2                                          ; 0x72 
      45  cmp edi,ebp                                        ; 
      47  cmovb ebp,edi                                      ; 
      4a  lea rsi,[1000h]                                    ; 
      51  movsxd rbp,[rsi+rbp*4]                             ; 
      55  add rsi,rbp                                        ; 
      58  jmp rsi                                            ; 
      5a  mov eax,0Ah                                        ; 0x7a i32.const/any
      5f  ret                                                ; 0x7a 
      60  mov eax,0Bh                                        ; 0x7e i32.const/any
      65  ret                                                ; 0x7e 
      66  mov eax,0Ch                                        ; 0x82 i32.const/any
      6b  ret                                                ; 0x82 

function 4 choose
      70  test edx,edx                                       ; 0x8b cond/any
      72  mov rax,rsi                                        ; 
      75  cmovne rax,rdi                                     ; 0x8b i64.select/cmov
      79  ret                                                ; 0x8c 

