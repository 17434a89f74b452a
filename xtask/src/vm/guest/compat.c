// The version of a file's inode, as 64-bit and 32-bit programs ask for it: `compat FILE`. Prints both, or the error numbers.
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

// ioctl(2) by the kernel's entry for 32-bit programs, whose pointers are that short.
static long ioctl32(long fd, long request, long argument) {
    long result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(54L), "b"(fd), "c"(request), "d"(argument)
                     : "memory", "r8", "r9", "r10", "r11");
    return (int)result;
}

int main(int argc, char **argv) {
    int fd = argc > 1 ? open(argv[1], O_RDONLY) : -1;
    int *version = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    if (fd < 0 || version == MAP_FAILED) return 2;
    int failed = ioctl(fd, FS_IOC_GETVERSION, version) ? errno : 0;
    printf("64 bits: error %d, version %u\n", failed, *version);
    *version = 0;
    long result = ioctl32(fd, FS_IOC32_GETVERSION, (long)version);
    printf("32 bits: error %ld, version %u\n", -result, *version);
    return failed || result || !*version;
}
