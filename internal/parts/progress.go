package parts

import (
	"fmt"
	"io"
	"time"
)

// Print gives a Progress function that writes one line per part that has to be
// built, when it begins and when it ends. Nothing is written of current parts.
func Print(w io.Writer) func(Event) {
	return func(event Event) {
		// Progress that cannot be shown is no reason to stop.
		switch event.State {
		case Building:
			_, _ = fmt.Fprintf(w, "building %s\n", event.Part)
		case Built:
			_, _ = fmt.Fprintf(w, "built %s in %s\n", event.Part, event.Elapsed.Round(time.Second))
		case Failed:
			_, _ = fmt.Fprintf(w, "could not build %s\n", event.Part)
		case Current:
		}
	}
}
