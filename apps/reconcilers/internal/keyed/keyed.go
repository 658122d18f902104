// Package keyed has locks by key, for reconcilers whose workers would change one object
// at once and mostly lose. One process leads at a time, so that locks within it are enough
// to be spared that; who is right is the API server's to say.
package keyed

import "sync"

// Locks are a lock for each key. The zero value is ready.
type Locks struct {
	mu    sync.Mutex
	locks map[string]*counted
}

type counted struct {
	sync.Mutex
	users int
}

// Lock takes the lock of a key and gives the function that lets it go.
func (k *Locks) Lock(key string) (unlock func()) {
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
