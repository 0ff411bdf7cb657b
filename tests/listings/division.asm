function 0 div_s
       0  test esi,esi                                       ; 0x32 i32.div_s/div
       2  je short 000000000000001Bh                         ; 0x32 i32.div_s/div
       4  mov eax,80000000h                                  ; 0x32 i32.div_s/div
       9  xor eax,edi                                        ; 0x32 i32.div_s/div
       b  mov rcx,rsi                                        ; 
       e  not ecx                                            ; 0x32 i32.div_s/div
      10  or eax,ecx                                         ; 0x32 i32.div_s/div
      12  je short 000000000000001Dh                         ; 0x32 i32.div_s/div
      14  mov rax,rdi                                        ; 
      17  cdq                                                ; 0x32 i32.div_s/div
      18  idiv esi                                           ; 0x32 i32.div_s/div
      1a  ret                                                ; 0x33 
      1b  ud2                                                ; 0x32 
      1d  ud2                                                ; 0x32 

function 1 rem_s
      20  test rsi,rsi                                       ; 0x3a i64.rem_s/rem
      23  je short 0000000000000043h                         ; 0x3a i64.rem_s/rem
      25  mov rax,1                                          ; 0x3a i64.rem_s/rem
      2f  cmp rsi,0FFFFFFFFFFFFFFFFh                         ; 0x3a i64.rem_s/rem
      33  cmove rsi,rax                                      ; 0x3a i64.rem_s/rem
      37  mov rax,rdi                                        ; 
      3a  cqo                                                ; 0x3a i64.rem_s/rem
      3c  idiv rsi                                           ; 0x3a i64.rem_s/rem
      3f  mov rax,rdx                                        ; 
      42  ret                                                ; 0x3b 
      43  ud2                                                ; 0x3a 

function 2 by_7
      50  movsxd rax,edi                                     ; 0x42 i64.extend_i32_s/sext
      53  mov rcx,2492492492492493h                          ; 0x42 i64.const/any
      5d  imul rcx                                           ; 0x42 i64.mul_hi_s/mul
      60  mov eax,edx                                        ; 0x42 i32.wrap_i64/low
      62  sar edi,1Fh                                        ; 0x42 i32.shr_s/by_const
      65  sub eax,edi                                        ; 0x42 i32.sub/sub
      67  ret                                                ; 0x43 

function 3 by_16
      70  mov rbp,rdi                                        ; 0x0 
      73  sar ebp,1Fh                                        ; 0x4a i32.shr_s/by_const
      76  shr ebp,1Ch                                        ; 0x4a i32.shr_u/by_const
      79  lea eax,[rdi+rbp]                                  ; 0x4a i32.add/add
      7c  sar eax,4                                          ; 0x4a i32.shr_s/by_const
      7f  ret                                                ; 0x4b 

function 4 by_10
      80  mov rcx,999999999999999Ah                          ; 0x52 i64.const/any
      8a  mov rax,rdi                                        ; 
      8d  mul rcx                                            ; 0x52 i64.mul_hi_u/mul
      90  mov rax,rdi                                        ; 
      93  sub rax,rdx                                        ; 0x52 i64.sub/sub
      96  shr rax,1                                          ; 0x52 i64.shr_u/by_const
      9a  lea rax,[rax+rdx]                                  ; 0x52 i64.add/add
      9e  shr rax,3                                          ; 0x52 i64.shr_u/by_const
      a2  lea rcx,[rax+rax*4]                                ; 0x52 i64.add/scaled4
      a6  shl rcx,1                                          ; 0x52 i64.shl/by_const
      aa  mov rax,rdi                                        ; 
      ad  sub rax,rcx                                        ; 0x52 i64.sub/sub
      b0  ret                                                ; 0x53 

