function 0 sum
       0  lea eax,[rdi+rsi+5]                                ; 0x36 i32.add/sum_const
       4  ret                                                ; 0x37 

function 1 scaled
      10  lea rax,[rdi+rsi*8]                                ; 0x41 i64.add/scaled8
      14  ret                                                ; 0x42 

function 2 times
      20  lea eax,[rdi+rdi*4]                                ; 0x49 i32.add/scaled4
      23  shl eax,3                                          ; 0x49 i32.shl/by_const
      26  ret                                                ; 0x4a 

function 3 loaded
      30  mov rax,rdi                                        ; 0x0 
      33  xor eax,[r15+rsi+8]                                ; 0x54 i32.xor/xor_load
      38  ret                                                ; 0x55 

function 4 rotate
      40  mov rcx,rsi                                        ; 0x0 
      43  mov rax,rdi                                        ; 
      46  rol rax,cl                                         ; 0x5c i64.rotl/by_cl
      49  ret                                                ; 0x5d 

function 5 byte
      50  movzx eax,dil                                      ; 0x65 i32.and/low_byte
      54  ret                                                ; 0x66 

