package certificates

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"net/url"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
)

// accountSecret holds the account keys, one for each authority.
const accountSecret = "acme-account"

// Accounts keeps the keys that authorities know us by in a Secret.
type Accounts struct {
	// Client that reads without a cache: two keys would be two accounts.
	Client client.Client
	// Namespace the platform runs in.
	Namespace string
}

// Key gives the key for an authority, which the first call makes. Whoever comes second
// takes the first one's.
func (a *Accounts) Key(ctx context.Context, directory string) (crypto.Signer, error) {
	entry, err := entryOf(directory)
	if err != nil {
		return nil, err
	}
	for {
		key, err := a.key(ctx, entry)
		if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) {
			continue // Somebody was faster; it is there now.
		}
		return key, err
	}
}

func (a *Accounts) key(ctx context.Context, entry string) (crypto.Signer, error) {
	secret := &corev1.Secret{}
	err := a.Client.Get(ctx, client.ObjectKey{Namespace: a.Namespace, Name: accountSecret}, secret)
	if client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("reading the account's key: %w", err)
	}
	if text, there := secret.Data[entry]; there {
		return parseKey(text)
	}
	key, text, err := newKey()
	if err != nil {
		return nil, err
	}
	data := maps.Clone(secret.Data)
	if data == nil {
		data = map[string][]byte{}
	}
	data[entry] = text
	secret.Data = data
	if secret.ResourceVersion == "" {
		secret.ObjectMeta = metav1.ObjectMeta{
			Namespace: a.Namespace, Name: accountSecret,
			Labels: map[string]string{v1alpha1.LabelManagedBy: v1alpha1.ManagedByBerth},
		}
		err = a.Client.Create(ctx, secret)
	} else {
		err = a.Client.Update(ctx, secret)
	}
	if err != nil {
		return nil, fmt.Errorf("keeping the account's key: %w", err)
	}
	return key, nil
}

// entryOf names an authority's key in the Secret: its host, for people, and what tells
// two of one host apart.
func entryOf(directory string) (string, error) {
	at, err := url.Parse(directory)
	if err != nil || at.Hostname() == "" {
		return "", fmt.Errorf("the authority's directory %q is no address", directory)
	}
	sum := sha256.Sum256([]byte(directory))
	return at.Hostname() + "-" + hex.EncodeToString(sum[:4]) + ".pem", nil
}

func newKey() (crypto.Signer, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("making the account's key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, fmt.Errorf("writing the account's key: %w", err)
	}
	return key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

func parseKey(text []byte) (crypto.Signer, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("the account's key in the Secret " + accountSecret + " is damaged")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	signer, signs := key.(crypto.Signer)
	if err != nil || !signs {
		return nil, errors.New("the account's key in the Secret " + accountSecret + " is damaged")
	}
	return signer, nil
}
