package app

import "sync"

// keyed is a lock for each key. One process leads at a time, so that a lock within
// the process is enough.
type keyed struct {
	mu    sync.Mutex
	locks map[string]*counted
}

type counted struct {
	sync.Mutex
	users int
}

// lock takes the lock of a key and gives the function that lets it go.
func (k *keyed) lock(key string) (unlock func()) {
	k.mu.Lock()
	if k.locks == nil {
		k.locks = map[string]*counted{}
	}
	held := k.locks[key]
	if held == nil {
		held = &counted{}
		k.locks[key] = held
	}
	held.users++
	k.mu.Unlock()

	held.Lock()
	return func() {
		held.Unlock()
		k.mu.Lock()
		defer k.mu.Unlock()
		if held.users--; held.users == 0 {
			delete(k.locks, key)
		}
	}
}
