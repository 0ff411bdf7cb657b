function 0 sum
       0  vaddsd xmm0,xmm0,[r15+rdi]                         ; 0x46 f64.add/avx
       6  ret                                                ; 0x47 

function 1 min
      10  movaps xmm5,xmm0                                   ; 0x0 
      13  minss xmm5,xmm1                                    ; 0x4e f32.min/both_orders
      17  movaps xmm6,xmm1                                   ; 
      1a  minss xmm6,xmm0                                    ; 0x4e f32.min/both_orders
      1e  orps xmm5,xmm6                                     ; 0x4e f32.min/both_orders
      21  movaps xmm2,xmm0                                   ; 
      24  addss xmm2,xmm1                                    ; 0x4e f32.min/both_orders
      28  cmpunordss xmm0,xmm1                               ; 0x4e f32.min/both_orders
      2d  andps xmm2,xmm0                                    ; 0x4e f32.min/both_orders
      30  andnps xmm0,xmm5                                   ; 0x4e f32.min/both_orders
      33  orps xmm0,xmm2                                     ; 0x4e f32.min/both_orders
      36  ret                                                ; 0x4f 

function 2 neg
      40  movaps xmm5,xmm0                                   ; 0x0 
      43  mov rdx,8000000000000000h                          ; 0x54 f64.neg/mask
      4d  movq xmm0,rdx                                      ; 0x54 f64.neg/mask
      52  movaps xmm7,xmm5                                   ; 
      55  xorps xmm0,xmm7                                    ; 0x54 f64.neg/mask
      58  ret                                                ; 0x55 

function 3 trunc
      60  ucomisd xmm0,xmm0                                  ; 0x5a i32.trunc_f64_s/widened
      64  jp short 0000000000000076h                         ; 0x5a i32.trunc_f64_s/widened
      66  cvttsd2si rbp,xmm0                                 ; 0x5a i32.trunc_f64_s/widened
      6b  movsxd rdi,ebp                                     ; 0x5a i32.trunc_f64_s/widened
      6e  cmp rdi,rbp                                        ; 0x5a i32.trunc_f64_s/widened
      71  jne short 0000000000000078h                        ; 0x5a i32.trunc_f64_s/widened
      73  mov eax,ebp                                        ; 0x5a i32.trunc_f64_s/widened
      75  ret                                                ; 0x5b 
      76  ud2                                                ; 0x5a 
      78  ud2                                                ; 0x5a 

function 4 trunc_sat
      80  xorps xmm3,xmm3                                    ; 0x60 i32.trunc_sat_f32_u/clamped
      83  maxss xmm0,xmm3                                    ; 0x60 i32.trunc_sat_f32_u/clamped
      87  cvttss2si rax,xmm0                                 ; 0x60 i32.trunc_sat_f32_u/clamped
      8c  mov ecx,0FFFFFFFFh                                 ; 0x60 i32.trunc_sat_f32_u/clamped
      91  mov edx,4F800000h                                  ; 0x60 i32.trunc_sat_f32_u/clamped
      96  movd xmm1,edx                                      ; 0x60 i32.trunc_sat_f32_u/clamped
      9a  ucomiss xmm0,xmm1                                  ; 0x60 i32.trunc_sat_f32_u/clamped
      9d  cmovae rax,rcx                                     ; 0x60 i32.trunc_sat_f32_u/clamped
      a1  mov eax,eax                                        ; 0x60 i32.trunc_sat_f32_u/clamped
      a3  ret                                                ; 0x62 

function 5 convert
      b0  mov rbp,rdi                                        ; 0x0 
      b3  shr rbp,1                                          ; 0x67 f64.convert_i64_u/halved
      b7  mov rsi,rdi                                        ; 
      ba  and rsi,1                                          ; 0x67 f64.convert_i64_u/halved
      be  or rbp,rsi                                         ; 0x67 f64.convert_i64_u/halved
      c1  test rdi,rdi                                       ; 0x67 f64.convert_i64_u/halved
      c4  mov rax,rdi                                        ; 
      c7  cmovs rax,rbp                                      ; 0x67 f64.convert_i64_u/halved
      cb  xorps xmm0,xmm0                                    ; 0x67 f64.convert_i64_u/halved
      ce  cvtsi2sd xmm0,rax                                  ; 0x67 f64.convert_i64_u/halved
      d3  sar rdi,3Fh                                        ; 0x67 f64.convert_i64_u/halved
      d7  movq xmm1,rdi                                      ; 0x67 f64.convert_i64_u/halved
      dc  andps xmm1,xmm0                                    ; 0x67 f64.convert_i64_u/halved
      df  addsd xmm0,xmm1                                    ; 0x67 f64.convert_i64_u/halved
      e3  ret                                                ; 0x68 

function 6 nearest
      f0  movaps xmm4,xmm0                                   ; 0x0 
      f3  xorps xmm0,xmm0                                    ; 0x6d f64.nearest/any
      f6  movaps xmm5,xmm4                                   ; 
      f9  roundsd xmm0,xmm5,8                                ; 0x6d f64.nearest/any
      ff  ret                                                ; 0x6e 

