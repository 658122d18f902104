package certificates

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mholt/acmez/v3/acme"

	"github.com/berth-dev/berth/apps"
)

// The kinds of proof that are given.
const (
	byHTTP = "http-01"
	byDNS  = "dns-01"
)

// order is one attempt at a certificate.
type order struct {
	host    string
	answers apps.Answers
	settle  time.Duration
	dns     *DNS
	client  *acme.Client
	account acme.Account
}

// run goes through an order. Nothing of it is kept when it fails: an authority answers the
// same order with what it has of it.
func (o *order) run(ctx context.Context) (*apps.Pair, error) {
	made, err := o.client.NewOrder(ctx, o.account, acme.Order{Identifiers: []acme.Identifier{{Type: "dns", Value: o.host}}})
	if err != nil {
		return nil, fmt.Errorf("ordering: %w", err)
	}
	for _, url := range made.Authorizations {
		if err := o.prove(ctx, url); err != nil {
			return nil, fmt.Errorf("proving the name: %w", err)
		}
	}
	return o.fetch(ctx, made)
}

// prove shows the authority that the name is ours, unless it remembers that.
func (o *order) prove(ctx context.Context, url string) error {
	authorization, err := o.client.GetAuthorization(ctx, o.account, url)
	if err != nil || authorization.Status == acme.StatusValid {
		return err
	}
	challenge, err := o.choose(authorization.Challenges)
	if err != nil {
		return err
	}
	defer o.cleanUp(ctx, challenge)
	if err := o.present(ctx, challenge); err != nil {
		return fmt.Errorf("showing the answer: %w", err)
	}
	if _, err := o.client.InitiateChallenge(ctx, o.account, challenge); err != nil {
		return err
	}
	_, err = o.client.PollAuthorization(ctx, o.account, authorization)
	return err
}

// choose takes the one kind of proof that a host can be given.
func (o *order) choose(challenges []acme.Challenge) (acme.Challenge, error) {
	want := byHTTP
	if strings.HasPrefix(o.host, "*.") {
		want = byDNS
	}
	for _, challenge := range challenges {
		if challenge.Type == want {
			return challenge, nil
		}
	}
	return acme.Challenge{}, apps.Refused("it does not take a proof of type "+want, 0, nil)
}

func (o *order) present(ctx context.Context, challenge acme.Challenge) error {
	if challenge.Type == byDNS {
		return o.dns.present(ctx, challenge)
	}
	if err := o.answers.Present(ctx, challenge.Token, challenge.KeyAuthorization); err != nil {
		return err
	}
	return wait(ctx, o.settle)
}

// wait pauses, unless the order's time is over first.
func wait(ctx context.Context, pause time.Duration) error {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// cleanUp takes the answer away. What is left over after a failure is harmless, since it
// answers an old question, and the next order replaces it.
func (o *order) cleanUp(ctx context.Context, challenge acme.Challenge) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUpTimeout)
	defer cancel()
	if challenge.Type == byDNS {
		_ = o.dns.cleanUp(ctx, challenge)
		return
	}
	_ = o.answers.CleanUp(ctx)
}

// fetch makes the key and gets the certificate for it.
func (o *order) fetch(ctx context.Context, made acme.Order) (*apps.Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{o.host}}, key)
	if err != nil {
		return nil, fmt.Errorf("writing the request: %w", err)
	}
	done, err := o.client.FinalizeOrder(ctx, o.account, made, request)
	if err != nil && done.Error != nil {
		err = errors.Join(err, *done.Error)
	}
	if err != nil {
		return nil, fmt.Errorf("finishing the order: %w", err)
	}
	chains, err := o.client.GetCertificateChain(ctx, o.account, done.Certificate)
	if err != nil {
		return nil, fmt.Errorf("fetching the certificate: %w", err)
	}
	if len(chains) == 0 {
		return nil, errors.New("fetching the certificate: there is none")
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("writing the key: %w", err)
	}
	return &apps.Pair{
		Certificate: chains[0].ChainPEM,
		Key:         pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
	}, nil
}
