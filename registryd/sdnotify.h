#ifndef REGISTRYD_SDNOTIFY_H
#define REGISTRYD_SDNOTIFY_H

/*
 * The notification protocol of service managers (sd_notify(3)): one datagram
 * to the socket that NOTIFY_SOCKET names.  Does nothing where there is none.
 */

/** sdnotify_ready(): start-up or a reload is complete. */
void sdnotify_ready(void);

/** sdnotify_reloading(): a reload begins; sdnotify_ready() ends it. */
void sdnotify_reloading(void);

/** sdnotify_stopping(): the end begins. */
void sdnotify_stopping(void);

#endif
