/* Empty: nothing here jumps (see no_longjmp.h). */
