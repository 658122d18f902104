package apps

import (
	"hash/fnv"
	"regexp"
	"time"

	"github.com/berth-dev/berth/internal/errs"
)

const (
	// uploadPrefix begins the name of the Secret with an uploaded certificate.
	uploadPrefix = "certificate-"
	maxUpload    = 40

	// maxSpread bounds how far renewals of the same day are spread.
	maxSpread = 24 * time.Hour
	// leastRenewal is the least time from one certificate to the next: an authority whose
	// clock is another, or whose certificates end at once, must not be asked in a circle.
	leastRenewal = time.Hour

	firstRetry = time.Minute
	lastRetry  = 24 * time.Hour
	// lastAwayRetry is for an authority that does not answer: it said nothing against the
	// host, and may be back at any moment.
	lastAwayRetry = 15 * time.Minute
)

var uploadName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)

// CheckUploadName refuses what cannot be the name of an uploaded certificate.
func CheckUploadName(name string) error {
	if len(name) > maxUpload || !uploadName.MatchString(name) {
		return errs.New(errs.Invalid, "name", "“"+name+"” cannot be the name of a certificate",
			"Use up to 40 lower-case letters, digits and hyphens, such as example-com.")
	}
	return nil
}

// UploadSecret is the Secret, in the tenant's management namespace, that holds the
// uploaded certificate of a name.
func UploadSecret(name string) string { return uploadPrefix + name }

// RenewAt is when the next certificate of a host is asked for: when two thirds of the life
// are over, and then up to a day or a tenth of the life later, so that those of one day
// are not all renewed at one moment. The same host always has the same place in that time.
func RenewAt(notBefore, notAfter time.Time, host string) time.Time {
	life := notAfter.Sub(notBefore)
	if life <= 0 {
		return notAfter
	}
	spread := min(life/10, maxSpread)
	return notBefore.Add(life*2/3 + time.Duration(share(host)*float64(spread)))
}

// NextOrder is RenewAt for a certificate that was just issued, but never at once: an
// authority that gives what is nearly over, or over, is not asked without a pause.
func NextOrder(notBefore, notAfter time.Time, host string, now time.Time) time.Time {
	pause := leastRenewal
	if left := notAfter.Sub(now); left > 0 {
		pause = min(pause, left/3)
	}
	at, least := RenewAt(notBefore, notAfter, host), now.Add(pause)
	if at.Before(least) {
		return least
	}
	return at
}

// share maps a host to a number from 0 up to 1.
func share(host string) float64 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(host)) // a hash never fails
	return float64(h.Sum32()) / (1 << 32)
}

// RetryOrder is how long to wait after an order that failed: a minute, doubled with each
// failure in a row, up to a day; an authority that is away is asked four times an hour. An
// authority that asks for more time gets it.
func RetryOrder(failures int32, err error) time.Duration {
	last := lastRetry
	refused, isRefusal := AsRefused(err)
	if !isRefusal {
		last = lastAwayRetry
	}
	wait := firstRetry
	for ; failures > 1 && wait < last; failures-- {
		wait *= 2
	}
	wait = min(wait, last)
	if isRefusal {
		wait = max(wait, refused.RetryAfter)
	}
	return wait
}
