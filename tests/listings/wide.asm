function 0 multi3
       0  mov rax,rsi                                        ; 0x0 
       3  imul rax,r8                                        ; 0x2a i64.mul/mul
       7  imul rdx,rcx                                       ; 0x2f i64.mul/mul
       b  lea rbx,[rax+rdx]                                  ; 0x30 i64.add/add
       f  mov rax,rsi                                        ; 
      12  mul rcx                                            ; 0x87 i64.mul_hi_u/mul
      15  lea rax,[rbx+rdx]                                  ; 0x87 i64.add/add
      19  mov [r15+rdi+8],rax                                ; 0x88 i64.store/any
      1e  imul rsi,rcx                                       ; 0x9b i64.mul/mul
      22  mov [r15+rdi],rsi                                  ; 0x9c i64.store/any
      26  ret                                                ; 0x9f 

