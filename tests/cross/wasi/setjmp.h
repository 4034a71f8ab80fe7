/* WebAssembly has no setjmp; tests/cross/stand-in/cmocka.h does without. */
