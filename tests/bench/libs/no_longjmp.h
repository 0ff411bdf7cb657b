/* Forced into every Lua file: errors abort (WASI without exception handling has no longjmp), hashing is not seeded by
   time and addresses, so that every engine walks tables in the same order. */
#include <stdlib.h>
#define LUAI_THROW(L, c) abort()
#define LUAI_TRY(L, c, a) { a }
#define luai_jmpbuf int
#define luai_makeseed(L) 20240229u
#define l_signalT int
