function 0 multi3
       0  mov rax,rsi                                        ; 0x0 
       3  imul rax,r8                                        ; 0x2a rm64/reg
       7  imul rdx,rcx                                       ; 0x2f rm64/reg
       b  lea rbx,[rax+rdx]                                  ; 0x30 i64.add/add
       f  mov rax,rsi                                        ; 
      12  mul rcx                                            ; 0x87 rm64/reg
      15  lea rax,[rbx+rdx]                                  ; 0x87 i64.add/add
      19  mov [r15+rdi+8],rax                                ; 0x88 addr/own
      1e  imul rsi,rcx                                       ; 0x9b rm64/reg
      22  mov [r15+rdi],rsi                                  ; 0x9c addr/own
      26  ret                                                ; 0x9f 

