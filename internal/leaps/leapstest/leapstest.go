// Package leapstest makes readings of a clock that was set, which package time does not: all
// that it offers moves the time a clock shows and the time that went by together.
//
// Tests alone may import it.
package leapstest

import (
	"fmt"
	"time"
	"unsafe"
)

// secondsFrom is the bit of a reading's first word from which on it counts seconds.
const secondsFrom = 30

// Set gives the reading that a clock would have given instead of this one if it had been set
// by so many whole seconds: it shows another time, and no more time has gone by. A reading
// that time.Now did not give, or that was truncated, has no such part.
func Set(reading time.Time, by time.Duration) time.Time {
	set := reading
	*(*uint64)(unsafe.Pointer(&set)) += uint64(by/time.Second) << secondsFrom //nolint:gosec // there is no other way, and what comes of it is looked at
	if shown, passed := set.Round(0).Sub(reading.Round(0)), set.Sub(reading); shown != by || passed != 0 {
		panic(fmt.Sprintf("%s was set by %s: it shows %s more, and %s went by", reading, by, shown, passed))
	}
	return set
}
