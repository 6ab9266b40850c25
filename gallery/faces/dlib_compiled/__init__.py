"""dlib's face encoder as machine code for the CPU at hand, which numba and LLVM make."""
