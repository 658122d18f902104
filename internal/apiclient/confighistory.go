package apiclient

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// ConfigChange is a variable that differs between two releases.
type ConfigChange struct {
	Key string `json:"key"`
	// What is added, removed or changed.
	What string `json:"what"`
	// Secret says that it is one: its values are never given out.
	Secret bool `json:"secret,omitempty"`
	// Old and New are the values of a plain setting, if they were asked for.
	Old string `json:"old,omitempty"`
	New string `json:"new,omitempty"`
}

// ConfigDiff is how a release's variables differ from those of an earlier one.
type ConfigDiff struct {
	// From is the earlier release; 0 is what was before the first.
	From      int64          `json:"from"`
	Version   int64          `json:"version"`
	Phase     string         `json:"phase"`
	Summary   string         `json:"summary,omitempty"`
	CreatedAt time.Time      `json:"createdAt"`
	Changes   []ConfigChange `json:"changes"`
	// SecretsGone says that the secrets of one of the releases are no longer kept, so that
	// only plain settings were compared.
	SecretsGone bool `json:"secretsGone,omitempty"`
}

// ConfigHistory lists which variables each release changed, newest first. Values of plain
// settings are there if asked for.
func (c *Client) ConfigHistory(ctx context.Context, tenant, app string, values bool) ([]ConfigDiff, error) {
	var out List[ConfigDiff]
	err := c.call(ctx, http.MethodGet, c.app(valuesQuery(values), tenant, app, "config", "history"), nil, &out)
	return out.Items, err
}

// ConfigBetween tells how the variables of two releases differ. To of 0 is the newest, from
// of 0 the one before to.
func (c *Client) ConfigBetween(ctx context.Context, tenant, app string, from, to int64, values bool) (out ConfigDiff, err error) {
	query := valuesQuery(values)
	for key, version := range map[string]int64{"from": from, "to": to} {
		if version > 0 {
			query.Set(key, strconv.FormatInt(version, 10))
		}
	}
	return out, c.call(ctx, http.MethodGet, c.app(query, tenant, app, "config", "diff"), nil, &out)
}

func valuesQuery(values bool) url.Values {
	query := url.Values{}
	if values {
		query.Set("values", "1")
	}
	return query
}
