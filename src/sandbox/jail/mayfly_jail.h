#pragma once

/// C interface of libmayfly_jail.so, for zygotes: see ../zygote_protocol.md.
#ifdef __cplusplus
extern "C" {
#endif

/// Tells the jailer that this zygote can fork. 0, or -1 when the jailer is gone.
int mayfly_jail_zygote_ready(int control);
/// Waits for requests; forks with all layers applied. > 0 in the zygote: the child's pid as the jailer sees it. 0 in the child, which is in
/// its sandbox. < 0: the jailer is gone, exit. The caller must have one thread and hold its interpreter's locks.
int mayfly_jail_zygote_next(int control);

#ifdef __cplusplus
}
#endif
