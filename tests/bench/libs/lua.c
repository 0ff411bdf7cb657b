/* Runs the embedded script lua.lua. Built without longjmp (see no_longjmp.h): the script must not raise errors or yield. */
#include <stdio.h>
#include <stdlib.h>

#include "lauxlib.h"
#include "lua.h"
#include "lualib.h"
#include "script.h" /* generated: static const char script[]; its length is sizeof script - 1 */

int main(void) {
    static const luaL_Reg libraries[] = {
        {"_G", luaopen_base}, {"table", luaopen_table}, {"string", luaopen_string}, {"math", luaopen_math}, {NULL, NULL},
    };
    lua_State *L = luaL_newstate();
    if (!L) return 1;
    for (const luaL_Reg *l = libraries; l->func; l++) {
        luaL_requiref(L, l->name, l->func, 1);
        lua_pop(L, 1);
    }
    if (luaL_loadbufferx(L, script, sizeof script - 1, "=lua.lua", "t") != LUA_OK) return 2;
    lua_call(L, 0, 0);
    lua_close(L);
    return 0;
}
