package api

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/internal/errs"
	"github.com/berth-dev/berth/tenancy"
)

// The Secret in the platform's namespace that holds the operator's token, hashed.
const (
	OperatorTokenSecret  = "berth-operator-token" // a name, not a credential
	OperatorTokenKeyHash = "hash"
	OperatorTokenKeyName = "name"
)

// tokenTTL is how long an answer about the operator's token is believed: a removed
// one is dead within this time.
const tokenTTL = 10 * time.Second

// tokenReadTimeout bounds one look at the Secret.
const tokenReadTimeout = 5 * time.Second

// HashToken is how a token is kept. A plain hash suffices: the token is random, so
// there is nothing to guess.
func HashToken(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// OperatorToken knows the one token that `berth up` makes.
type OperatorToken struct {
	reader client.Reader
	clock  clock.PassiveClock

	// reads joins those who look at the Secret at the same time.
	reads singleflight.Group
	mu    sync.Mutex
	known operator
}

// operator is what the Secret said, and when.
type operator struct {
	hash    []byte
	name    string
	fetched time.Time
}

// NewOperatorToken reads the token's hash with an uncached reader.
func NewOperatorToken(reader client.Reader, clock clock.PassiveClock) *OperatorToken {
	return &OperatorToken{reader: reader, clock: clock}
}

// Authenticate compares the token in constant time.
func (o *OperatorToken) Authenticate(ctx context.Context, token string) (Principal, error) {
	known, err := o.current(ctx)
	if err != nil {
		return Principal{}, errs.Wrap(errs.Unavailable, err, "the token cannot be checked now: try again in a moment")
	}
	if len(known.hash) == 0 || subtle.ConstantTimeCompare(known.hash, []byte(HashToken(token))) != 1 {
		return Principal{}, errs.New(errs.Unauthorized, "", "the token is not valid (any more)", "Log in again with: berth login")
	}
	return Principal{Name: cmp.Or(known.name, "operator"), Operator: true}, nil
}

// current is what the Secret says, or said a moment ago. All who ask meanwhile share one
// look, which ends in time even if the first of them waits longer or is gone.
func (o *OperatorToken) current(ctx context.Context) (operator, error) {
	o.mu.Lock()
	known := o.known
	o.mu.Unlock()
	if !known.fetched.IsZero() && o.clock.Now().Sub(known.fetched) < tokenTTL {
		return known, nil
	}
	look := o.reads.DoChan("", func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tokenReadTimeout)
		defer cancel()
		return o.read(ctx)
	})
	select {
	case <-ctx.Done():
		return operator{}, ctx.Err()
	case seen := <-look:
		if seen.Err != nil {
			return operator{}, seen.Err
		}
		return seen.Val.(operator), nil
	}
}

// read looks at the Secret. One that is gone leaves no hash, which no token matches.
func (o *OperatorToken) read(ctx context.Context) (operator, error) {
	now := o.clock.Now()
	secret := &corev1.Secret{}
	err := o.reader.Get(ctx, client.ObjectKey{Namespace: tenancy.SystemNamespace, Name: OperatorTokenSecret}, secret)
	if client.IgnoreNotFound(err) != nil {
		return operator{}, err
	}
	known := operator{hash: secret.Data[OperatorTokenKeyHash], name: string(secret.Data[OperatorTokenKeyName]), fetched: now}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.known = known
	return known, nil
}
