package tenancy

import (
	"crypto/rand"
	"fmt"
	"strings"
)

const (
	idLength  = 8
	idLetters = "abcdefghijklmnopqrstuvwxyz"
	idSymbols = idLetters + "0123456789"
)

// NewID makes the opaque id of a virtual cluster: eight lower-case letters and
// digits, a letter first, so that it is a valid name everywhere. Ids say nothing
// about the tenant and are never reused.
func NewID() (string, error) {
	id := make([]byte, 0, idLength)
	for len(id) < idLength {
		var draw [2 * idLength]byte
		if _, err := rand.Read(draw[:]); err != nil {
			return "", fmt.Errorf("drawing an id: %w", err)
		}
		for _, b := range draw {
			if len(id) == idLength {
				break
			}
			symbols := idSymbols
			if len(id) == 0 {
				symbols = idLetters
			}
			// Bytes past the last full multiple would favour the first symbols.
			if limit := 256 - 256%len(symbols); int(b) < limit {
				id = append(id, symbols[int(b)%len(symbols)])
			}
		}
	}
	return string(id), nil
}

// IsID says whether a text has the form of an id: then it can stand in a name or an address
// and mean nothing else there.
func IsID(text string) bool {
	return len(text) == idLength && strings.Trim(text, idSymbols) == "" && strings.Contains(idLetters, text[:1])
}
