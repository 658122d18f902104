package service

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/berth-dev/berth/api/v1alpha1"
	"github.com/berth-dev/berth/apps"
	"github.com/berth-dev/berth/internal/errs"
)

const (
	maxKeys        = 256
	maxKeyBytes    = 128
	maxValueBytes  = 64 << 10
	maxSecretBytes = 512 << 10
)

func validKeys(field string, values map[string]*string) error {
	for _, k := range slices.Sorted(maps.Keys(values)) {
		if len(k) > maxKeyBytes || !apps.ValidConfigKey(k) {
			return errs.New(errs.Invalid, field+"."+k, quote(k)+" cannot be the name of a variable",
				"Use letters, digits and underscores, and do not begin with a digit, such as DATABASE_URL.")
		}
		if apps.ReservedConfigKey(k) {
			return errs.New(errs.Invalid, field+"."+k, k+" is set by the platform", "Leave it out.")
		}
		if v := values[k]; v != nil && (len(*v) > maxValueBytes || strings.ContainsRune(*v, 0)) {
			return errs.New(errs.Invalid, field+"."+k, "the value is longer than 64 KiB or holds a zero byte", "Put large data into a volume.")
		}
	}
	return nil
}

// patchConfig sets and removes plain settings.
func (s *Service) patchConfig(ctx context.Context, tenant string, app *v1alpha1.App, values map[string]*string) error {
	if len(values) == 0 {
		return nil
	}
	if err := validKeys("config", values); err != nil {
		return err
	}
	if app.Spec.Template == nil {
		return notDeployed(app.Name)
	}
	next := maps.Clone(app.Spec.Template.Config)
	if next == nil {
		next = map[string]string{}
	}
	for k, v := range values {
		if v == nil {
			delete(next, k)
			continue
		}
		next[k] = *v
	}
	if len(next) == 0 {
		next = nil
	}
	app.Spec.Template.Config = next
	return s.secretsStay(ctx, tenant, app.Spec.Template)
}

// secretsStay checks an app whose plain settings change and whose secrets do not.
func (s *Service) secretsStay(ctx context.Context, tenant string, template *v1alpha1.AppTemplate) error {
	if template.ConfigSecret == "" || len(template.Config) == 0 {
		return nil
	}
	values, err := s.secretValues(ctx, tenant, template.ConfigSecret)
	if err != nil {
		return err
	}
	return noClash(template.Config, values)
}

// noClash refuses a variable that is both plain and secret: which one an app gets
// would be a matter of luck.
func noClash(config map[string]string, secrets map[string][]byte) error {
	for _, k := range slices.Sorted(maps.Keys(config)) {
		if _, both := secrets[k]; both {
			return clash(k)
		}
	}
	return nil
}

func clash(key string) error {
	return errs.New(errs.Conflict, "config."+key, quote(key)+" is a secret and a plain setting at once",
		"Remove one of them: berth secrets:unset "+key+" or berth config:unset "+key)
}

// Secrets lists the names of an app's secrets.
func (s *Service) Secrets(ctx context.Context, tenant, name string) ([]string, error) {
	app, err := s.app(ctx, tenant, name)
	if err != nil {
		return nil, err
	}
	if app.Spec.Template == nil {
		return nil, nil
	}
	values, err := s.secretValues(ctx, tenant, app.Spec.Template.ConfigSecret)
	return slices.Sorted(maps.Keys(values)), err
}

// PatchSecrets sets and removes secrets: a new immutable Secret, and a template that
// names it.
func (s *Service) PatchSecrets(ctx context.Context, tenant, name string, values map[string]*string) (*Change, error) {
	if err := validKeys("secrets", values); err != nil {
		return nil, err
	}
	if len(values) == 0 {
		return nil, errs.New(errs.Invalid, "secrets", "no secret was named", "Name at least one, such as API_KEY.")
	}
	next := &nextSecret{service: s, tenant: tenant, values: values}
	return s.do(ctx, edit{
		tenant: tenant, app: name, reason: strings.ReplaceAll(configReason(values), "set ", "set secret "),
		apply: func(app *v1alpha1.App) error {
			if app.Spec.Template == nil {
				key := slices.Sorted(maps.Keys(values))[0]
				return errs.New(errs.Conflict, "app", "nothing has been deployed to "+quote(name)+" yet",
					"Give it with the first deploy: "+key+"=… berth apply --secret "+key)
			}
			return next.apply(ctx, app)
		},
		prepare: func() error { return next.write(ctx) },
	})
}

// nextSecret changes an app's secrets within an edit: it judges them with the app and
// writes them when nothing else can be refused.
type nextSecret struct {
	service *Service
	tenant  string
	values  map[string]*string
	// secret is what to write; nil when no secret is left.
	secret *corev1.Secret
}

// apply makes the template name the Secret that the app's secrets and the changes come to.
func (n *nextSecret) apply(ctx context.Context, app *v1alpha1.App) error {
	next, err := n.service.secretValues(ctx, n.tenant, app.Spec.Template.ConfigSecret)
	if err != nil {
		return err
	}
	for k, v := range n.values {
		if v == nil {
			delete(next, k)
			continue
		}
		next[k] = []byte(*v)
	}
	size := 0
	for k, v := range next {
		size += len(k) + len(v)
	}
	if len(next) > maxKeys || size > maxSecretBytes {
		return errs.New(errs.Invalid, "secrets", "an app takes at most 256 secrets of 512 KiB together", "Remove some with: berth secrets:unset KEY")
	}
	if err := noClash(app.Spec.Template.Config, next); err != nil {
		return err
	}
	n.secret, app.Spec.Template.ConfigSecret = nil, ""
	if len(next) > 0 {
		n.secret = configSecret(app, next)
		app.Spec.Template.ConfigSecret = n.secret.Name
	}
	return nil
}

// write makes the Secret, unless it is there: its name tells what it holds.
func (n *nextSecret) write(ctx context.Context) error {
	if n.secret == nil {
		return nil
	}
	// A copy, since a second attempt may write it again.
	return client.IgnoreAlreadyExists(n.service.Client.Create(ctx, n.secret.DeepCopy()))
}

// configSecret is the immutable Secret that holds the values. Its name is its content's
// hash, so the same values are the same Secret and no release ever changes under
// its feet.
func configSecret(app *v1alpha1.App, values map[string][]byte) *corev1.Secret {
	h := sha256.New()
	// The app's UID goes in, so that an app made later under the name shares nothing.
	h.Write([]byte(app.UID))
	for _, k := range slices.Sorted(maps.Keys(values)) {
		sum := sha256.Sum256(values[k])
		h.Write([]byte("\x00" + k + "\x00"))
		h.Write(sum[:])
	}
	immutable := true
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: app.Namespace,
			Name:      app.Name + "-config-" + hex.EncodeToString(h.Sum(nil))[:10],
			Labels:    map[string]string{v1alpha1.LabelApp: app.Name, v1alpha1.LabelManagedBy: v1alpha1.ManagedByBerth},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: v1alpha1.GroupVersion.String(), Kind: "App", Name: app.Name, UID: app.UID,
			}},
		},
		Immutable: &immutable,
		Data:      values,
	}
}

// secretValues reads the values to make the next Secret of; they go nowhere else. A
// Secret that is gone holds none: its values can be set again.
func (s *Service) secretValues(ctx context.Context, tenant, name string) (map[string][]byte, error) {
	if name == "" {
		return map[string][]byte{}, nil
	}
	secret, err := s.secret(ctx, tenant, name)
	if client.IgnoreNotFound(err) != nil {
		return nil, errs.Wrap(errs.Internal, err, "the app's secrets cannot be read")
	}
	if err != nil || secret.Data == nil {
		return map[string][]byte{}, nil
	}
	return maps.Clone(secret.Data), nil
}
