// Carries the precompiled header of the LibTorch tests.
