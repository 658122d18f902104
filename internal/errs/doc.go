// Package errs holds the one error type that people outside the platform see.
//
// It owns the list of codes and what each means. An Error names the offending
// field and how to mend it; its texts are fit to show to a tenant, so they hold
// no secret and nothing of the platform's insides. The wrapped cause is for the
// log only and is never shown. One place, the portal, maps codes to HTTP statuses.
//
// It imports the standard library only, and every package may import it.
package errs
