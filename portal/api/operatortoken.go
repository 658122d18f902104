package api

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
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

// NewToken makes a token of 256 random bits and its hash as the Secret keeps it.
func NewToken() (token, hash string) {
	raw := make([]byte, 32)
	_, _ = rand.Read(raw) // never fails
	token = base64.RawURLEncoding.EncodeToString(raw)
	return token, HashToken(token)
}

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

	mu      sync.Mutex
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
	hash, name, err := o.current(ctx)
	if err != nil {
		return Principal{}, errs.Wrap(errs.Unavailable, err, "the token cannot be checked now: try again in a moment")
	}
	if len(hash) == 0 || subtle.ConstantTimeCompare(hash, []byte(HashToken(token))) != 1 {
		return Principal{}, errs.New(errs.Unauthorized, "", "the token is not valid (any more)", "Log in again with: berth login")
	}
	return Principal{Name: name, Operator: true}, nil
}

func (o *OperatorToken) current(ctx context.Context) (hash []byte, name string, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if now := o.clock.Now(); o.fetched.IsZero() || now.Sub(o.fetched) >= tokenTTL {
		secret := &corev1.Secret{}
		err := o.reader.Get(ctx, client.ObjectKey{Namespace: tenancy.SystemNamespace, Name: OperatorTokenSecret}, secret)
		if err != nil && !apierrors.IsNotFound(err) {
			return nil, "", err
		}
		// A Secret that is gone leaves no hash, which no token matches.
		o.hash, o.name, o.fetched = secret.Data[OperatorTokenKeyHash], string(secret.Data[OperatorTokenKeyName]), now
	}
	name = o.name
	if name == "" {
		name = "operator"
	}
	return o.hash, name, nil
}
