/* A wall clock that can be set, for the processes that preload this: seconds to add to it stand in a file beside.
   Clocks that only run, by which processes wait, stay; deadlines by the wall clock are moved with it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const int64_t NONE = 0;
static const int64_t *seconds = &NONE;
static int (*own_clock)(clockid_t, struct timespec *);
static int (*own_wait)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
static int (*own_take)(sem_t *, const struct timespec *);

__attribute__((constructor)) static void begin(void) {
    Dl_info found;
    char path[4096];
    own_clock = dlsym(RTLD_NEXT, "clock_gettime");
    own_wait = dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
    own_take = dlsym(RTLD_NEXT, "sem_timedwait");
    if (!dladdr((void *)begin, &found)) return;
    snprintf(path, sizeof path, "%s.seconds", found.dli_fname);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return;
    void *place = mmap(NULL, sizeof *seconds, PROT_READ, MAP_SHARED, file, 0);
    if (place != MAP_FAILED) seconds = place;
    close(file);
}

int clock_gettime(clockid_t which, struct timespec *now) {
    if (!own_clock) begin();
    int code = own_clock(which, now);
    if (!code && (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE)) now->tv_sec += *seconds;
    return code;
}

int gettimeofday(struct timeval *now, void *zone) {
    (void)zone;
    struct timespec found;
    int code = clock_gettime(CLOCK_REALTIME, &found);
    now->tv_sec = found.tv_sec;
    now->tv_usec = found.tv_nsec / 1000;
    return code;
}

time_t time(time_t *now) {
    struct timespec found;
    clock_gettime(CLOCK_REALTIME, &found);
    if (now) *now = found.tv_sec;
    return found.tv_sec;
}

/* of a clock that only runs, no time is as large: it begins with the machine */
static struct timespec moved(const struct timespec *until) {
    struct timespec real = *until;
    if (real.tv_sec > 1000000000) real.tv_sec -= *seconds;
    return real;
}

int pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *lock, const struct timespec *until) {
    if (!own_wait) begin();
    struct timespec real = moved(until);
    return own_wait(condition, lock, &real);
}

int sem_timedwait(sem_t *semaphore, const struct timespec *until) {
    if (!own_take) begin();
    struct timespec real = moved(until);
    return own_take(semaphore, &real);
}
