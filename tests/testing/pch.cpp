// Carries the precompiled header of the LibTorch tests, built with an executable's flags.
int main() { return 0; }
