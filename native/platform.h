/*
 * The differences between POSIX systems and Windows: threads, memory, mapped files, time. Used by runtime.c alone; the kernels
 * need none of it.
 */
#ifndef GPT2_PLATFORM_H
#define GPT2_PLATFORM_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(_WIN32)

#define WIN32_LEAN_AND_MEAN
#include <malloc.h>
#include <windows.h>

#define EXPORT __declspec(dllexport)

typedef HANDLE Thread;
typedef DWORD ThreadResult;
#define THREAD_CALL WINAPI
typedef SRWLOCK Mutex;
typedef CONDITION_VARIABLE Condition;

/* 0, or another number if a thread could not be started. */
static int thread_start(Thread *thread, ThreadResult(THREAD_CALL *run)(void *), void *arg) {
  *thread = CreateThread(NULL, 0, run, arg, 0, NULL);
  return *thread == NULL;
}

static void thread_join(Thread thread) {
  WaitForSingleObject(thread, INFINITE);
  CloseHandle(thread);
}

static void thread_yield(void) { SwitchToThread(); }

static void mutex_init(Mutex *m) { InitializeSRWLock(m); }
static void mutex_lock(Mutex *m) { AcquireSRWLockExclusive(m); }
static void mutex_unlock(Mutex *m) { ReleaseSRWLockExclusive(m); }
static void condition_init(Condition *c) { InitializeConditionVariable(c); }
static void condition_wait(Condition *c, Mutex *m) { SleepConditionVariableSRW(c, m, INFINITE, 0); }
static void condition_broadcast(Condition *c) { WakeAllConditionVariable(c); }

/* Seconds since some moment. */
static double now(void) {
  LARGE_INTEGER count, rate;
  QueryPerformanceCounter(&count);
  QueryPerformanceFrequency(&rate);
  return (double)count.QuadPart / (double)rate.QuadPart;
}

static void *aligned_memory(size_t align, size_t size) { return _aligned_malloc(size, align); }
static void aligned_free(void *p) { _aligned_free(p); }

/* Zeroed memory from the system, at a multiple of 64 KiB. */
static void *pages_alloc(size_t size, size_t align, int huge) {
  (void)align, (void)huge;
  return VirtualAlloc(NULL, size, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
}

static void pages_free(void *p, size_t size) {
  (void)size;
  VirtualFree(p, 0, MEM_RELEASE);
}

/* Returns the memory to the system; the addresses stay valid, their contents do not. */
static void pages_discard(void *p, size_t size) { VirtualAlloc(p, size, MEM_RESET, PAGE_READWRITE); }

/* A file mapped read-only, or NULL with minus the system's error in *size. */
static void *file_map(const char *path, int64_t *size) {
  wchar_t wide[32768];
  HANDLE file = INVALID_HANDLE_VALUE, mapping = NULL;
  void *p = NULL;
  LARGE_INTEGER length = {0};
  if (MultiByteToWideChar(CP_UTF8, 0, path, -1, wide, sizeof wide / sizeof *wide))
    file = CreateFileW(wide, GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, NULL, OPEN_EXISTING, 0, NULL);
  if (file != INVALID_HANDLE_VALUE && GetFileSizeEx(file, &length))
    mapping = CreateFileMappingW(file, NULL, PAGE_READONLY, 0, 0, NULL);
  if (mapping) p = MapViewOfFile(mapping, FILE_MAP_READ, 0, 0, 0);
  *size = p ? (int64_t)length.QuadPart : -(int64_t)GetLastError();
  if (mapping) CloseHandle(mapping);
  if (file != INVALID_HANDLE_VALUE) CloseHandle(file);
  return p;
}

static void file_unmap(void *p, size_t size) {
  (void)size;
  UnmapViewOfFile(p);
}

/* The mapping stays until it is unmapped: Windows cannot replace it by other memory. */
static void file_discard(void *p, size_t size) { (void)p, (void)size; }

/* Marks a part of a mapped file as not needed soon. */
static void file_forget(void *p, size_t size) { VirtualUnlock(p, size); }

typedef INIT_ONCE Once;
#define ONCE_INIT INIT_ONCE_STATIC_INIT
static BOOL CALLBACK run_once_callback(INIT_ONCE *once, void *run, void **context) {
  (void)once, (void)context;
  ((void (*)(void))run)();
  return TRUE;
}
static void run_once(Once *once, void (*run)(void)) { InitOnceExecuteOnce(once, run_once_callback, (void *)run, NULL); }

/* A value for each thread, and a function that is called with it when the thread ends. */
typedef DWORD ThreadKey;
typedef VOID(NTAPI *ThreadEnd)(void *value);
#define THREAD_END_CALL NTAPI
static void thread_key_make(ThreadKey *key, ThreadEnd end) { *key = FlsAlloc(end); }
static void *thread_value(ThreadKey key) { return FlsGetValue(key); }
static void thread_set_value(ThreadKey key, void *value) { FlsSetValue(key, value); }

/* Keeps this library in the process until the process ends. */
static void stay_loaded(void) {
  HMODULE module;
  GetModuleHandleExW(GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_PIN, (LPCWSTR)(void *)stay_loaded, &module);
}

#else

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

typedef pthread_t Thread;
typedef void *ThreadResult;
#define THREAD_CALL
typedef pthread_mutex_t Mutex;
typedef pthread_cond_t Condition;

/* 0, or another number if a thread could not be started. */
static int thread_start(Thread *thread, ThreadResult (*run)(void *), void *arg) { return pthread_create(thread, NULL, run, arg); }
static void thread_join(Thread thread) { pthread_join(thread, NULL); }
static void thread_yield(void) { sched_yield(); }

static void mutex_init(Mutex *m) { pthread_mutex_init(m, NULL); }
static void mutex_lock(Mutex *m) { pthread_mutex_lock(m); }
static void mutex_unlock(Mutex *m) { pthread_mutex_unlock(m); }
static void condition_init(Condition *c) { pthread_cond_init(c, NULL); }
static void condition_wait(Condition *c, Mutex *m) { pthread_cond_wait(c, m); }
static void condition_broadcast(Condition *c) { pthread_cond_broadcast(c); }

/* Seconds since some moment. */
static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + 1e-9 * t.tv_nsec;
}

static void *aligned_memory(size_t align, size_t size) {
  void *p = NULL;
  return posix_memalign(&p, align, size) ? NULL : p;
}
static void aligned_free(void *p) { free(p); }

/* Zeroed memory from the system at a multiple of `align`, on request in huge pages where the system has them. */
static void *pages_alloc(size_t size, size_t align, int huge) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE), extra = align > page ? align : 0;
  char *p = mmap(NULL, size + extra, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) return NULL;
  if (extra) {
    size_t head = (align - (size_t)p % align) % align;
    if (head) munmap(p, head);
    if (extra - head) munmap(p + head + size, extra - head);
    p += head;
  }
#ifdef MADV_HUGEPAGE
  if (huge) madvise(p, size, MADV_HUGEPAGE);
#else
  (void)huge;
#endif
  return p;
}

static void pages_free(void *p, size_t size) { munmap(p, size); }

/* Returns the memory, or mapped file, to the system at once; the addresses stay valid and hold zeros. */
static void pages_discard(void *p, size_t size) {
  mmap(p, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

/* A file mapped read-only, or NULL with -errno in *size. */
static void *file_map(const char *path, int64_t *size) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return *size = -errno, NULL;
  struct stat st;
  void *p = MAP_FAILED;
  if (fstat(fd, &st) == 0 && st.st_size > 0) p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
  *size = p == MAP_FAILED ? -errno : (int64_t)st.st_size;
  close(fd);
  return p == MAP_FAILED ? NULL : p;
}

static void file_unmap(void *p, size_t size) { munmap(p, size); }
static void file_discard(void *p, size_t size) { pages_discard(p, size); }

/* Marks a part of a mapped file as not needed soon: the system may reuse its memory, and reads it back when it is needed. */
static void file_forget(void *p, size_t size) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  size_t from = ((size_t)p + page - 1) / page * page, to = ((size_t)p + size) / page * page;
  if (from < to) madvise((void *)from, to - from, MADV_DONTNEED);
}

typedef pthread_once_t Once;
#define ONCE_INIT PTHREAD_ONCE_INIT
static void run_once(Once *once, void (*run)(void)) { pthread_once(once, run); }

/* A value for each thread, and a function that is called with it when the thread ends. */
typedef pthread_key_t ThreadKey;
typedef void (*ThreadEnd)(void *value);
#define THREAD_END_CALL
static void thread_key_make(ThreadKey *key, ThreadEnd end) { pthread_key_create(key, end); }
static void *thread_value(ThreadKey key) { return pthread_getspecific(key); }
static void thread_set_value(ThreadKey key, void *value) { pthread_setspecific(key, value); }

/* Keeps this library in the process until the process ends. */
static void stay_loaded(void) {
  Dl_info info;
  if (dladdr((void *)stay_loaded, &info) && info.dli_fname) dlopen(info.dli_fname, RTLD_NOW | RTLD_NODELETE);
}

#endif
#endif
