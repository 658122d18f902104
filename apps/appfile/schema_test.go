package appfile_test

import (
	"bytes"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"sigs.k8s.io/yaml"

	"github.com/berth-dev/berth/apps/appfile"
)

func compileSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(appfile.Schema))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("berth.yaml.json", document); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("berth.yaml.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// TestSchemaAndParserAgree holds both against the same files: an editor must not
// praise what the parser refuses, nor the other way round. What only the whole file
// tells (a health port that is not there, say) is beyond a schema and not here.
func TestSchemaAndParserAgree(t *testing.T) {
	head := "app: shop\ncomponents:\n  ui:\n    image: ui:1\n"
	tests := map[string]struct {
		text string
		good bool
	}{
		"everything":              {shop, true},
		"the least":               {head, true},
		"an empty file":           {"{}", false},
		"no app":                  {"components: {ui: {image: a}}", false},
		"no components":           {"app: shop\ncomponents: {}", false},
		"a list":                  {"[]", false},
		"unknown at the top":      {head + "x: 1", false},
		"unknown in a component":  {head + "    x: 1", false},
		"unknown in a port":       {head + "    ports: {http: {port: 1, x: 1}}", false},
		"unknown in health":       {head + "    ports: {http: {port: 1}}\n    health: {x: 1}", false},
		"unknown in a volume":     {head + "    volumes: {data: {path: /a, size: 1Gi, x: 1}}", false},
		"health of nothing":       {head + "    ports: {http: {port: 1}}\n    health: {}", true},
		"an empty health path":    {head + "    ports: {http: {port: 1}}\n    health: {path: ''}", false},
		"a relative health path":  {head + "    ports: {http: {port: 1}}\n    health: {path: up}", false},
		"a long check":            {head + "    ports: {http: {port: 1}}\n    health: {timeoutSeconds: 61}", false},
		"a check of no time":      {head + "    ports: {http: {port: 1}}\n    health: {timeoutSeconds: 0}", false},
		"app in capitals":         {"app: Shop\ncomponents: {ui: {image: a}}", false},
		"app with two hyphens":    {"app: a--b\ncomponents: {ui: {image: a}}", false},
		"app with last hyphen":    {"app: a-\ncomponents: {ui: {image: a}}", false},
		"a reserved app":          {"app: api\ncomponents: {ui: {image: a}}", false},
		"a builder":               {"app: a-builder\ncomponents: {ui: {image: a}}", false},
		"app of 30 letters":       {"app: aaaaaaaaaabbbbbbbbbbcccccccccc\ncomponents: {ui: {image: a}}", true},
		"app of 31 letters":       {"app: aaaaaaaaaabbbbbbbbbbccccccccccd\ncomponents: {ui: {image: a}}", false},
		"app is a number":         {"app: 5\ncomponents: {ui: {image: a}}", false},
		"a bad component name":    {"app: shop\ncomponents: {U_I: {image: a}}", false},
		"an empty image":          {"app: shop\ncomponents: {ui: {image: ''}}", false},
		"an image with a blank":   {"app: shop\ncomponents: {ui: {image: 'a b'}}", false},
		"no image":                {"app: shop\ncomponents: {ui: {}}", false},
		"null for a component":    {"app: shop\ncomponents: {ui: }", false},
		"count 0":                 {head + "    count: 0", true},
		"count -1":                {head + "    count: -1", false},
		"count 101":               {head + "    count: 101", false},
		"count 1.5":               {head + "    count: 1.5", false},
		"count in quotes":         {head + "    count: '1'", false},
		"ocus 0":                  {head + "    ocus: 0", false},
		"ocus 100":                {head + "    ocus: 100", true},
		"ocus 101":                {head + "    ocus: 101", false},
		"ocus 10000":              {head + "    ocus: 10000", false},
		"user 0":                  {head + "    user: 0", false},
		"user 65536":              {head + "    user: 65536", false},
		"a command in one text":   {head + "    command: run it", false},
		"a command of numbers":    {head + "    command: [a, 1]", false},
		"an empty command":        {head + "    command: []", true},
		"port 0":                  {head + "    ports: {http: {port: 0}}", false},
		"port 65536":              {head + "    ports: {http: {port: 65536}}", false},
		"no port number":          {head + "    ports: {http: {}}", false},
		"a long port name":        {head + "    ports: {abcdefghijklmnop: {port: 1}}", false},
		"a protocol in small":     {head + "    ports: {http: {port: 1, protocol: http}}", false},
		"expose as text":          {head + "    ports: {http: {port: 1, expose: 'yes'}}", false},
		"ports as a list":         {head + "    ports: [8080]", false},
		"null for ports":          {head + "    ports:", false},
		"a size without a unit":   {head + "    volumes: {data: {path: /a, size: '1000'}}", true},
		"a size that is a number": {head + "    volumes: {data: {path: /a, size: 1000}}", false},
		"a size that is none":     {head + "    volumes: {data: {path: /a, size: big}}", false},
		"no size":                 {head + "    volumes: {data: {path: /a}}", false},
		"a relative path":         {head + "    volumes: {data: {path: a, size: 1Gi}}", false},
		"the root as a path":      {head + "    volumes: {data: {path: /, size: 1Gi}}", false},
		"config of scalars":       {head + "config: {A: 1, B: true, C: x, D: 1.5}", true},
		"null in config":          {head + "config: {A: }", false},
		"a mapping in config":     {head + "config: {A: {}}", false},
		"a bad variable":          {head + "config: {1A: x}", false},
		"PORT in config":          {head + "config: {PORT: '1'}", false},
		"BERTH_ in config":        {head + "config: {BERTH_X: '1'}", false},
		"a secret twice":          {head + "secrets: [A, A]", false},
		"a secret with a value":   {head + "secrets: [{A: b}]", false},
		"secrets as a mapping":    {head + "secrets: {A: b}", false},
		"a bad secret":            {head + "secrets: [a-b]", false},
		"a clock":                 {head + "    cron: {schedule: '*/5 8-18 * * MON-FRI'}", true},
		"a clock by a word":       {head + "    cron: {schedule: '@hourly', timeZone: Asia/Tokyo}", true},
		"a clock without times":   {head + "    cron: {}", false},
		"a clock as text":         {head + "    cron: '@daily'", false},
		"an interval":             {head + "    cron: {schedule: '@every 5m'}", false},
		"four fields":             {head + "    cron: {schedule: '* * * *'}", false},
		"a zone in the schedule":  {head + "    cron: {schedule: 'TZ=UTC 0 3 * * *'}", false},
		"a run of nine seconds":   {head + "    cron: {schedule: '@daily', timeoutSeconds: 9}", false},
		"unknown in a clock":      {head + "    cron: {schedule: '@daily', x: 1}", false},
		"a clock and two":         {head + "    count: 2\n    cron: {schedule: '@daily'}", false},
		"a clock and none":        {head + "    count: 0\n    cron: {schedule: '@daily'}", true},
		"a clock and a port":      {head + "    ports: {http: {port: 1}}\n    cron: {schedule: '@daily'}", false},
		"a clock and no ports":    {head + "    ports: {}\n    cron: {schedule: '@daily'}", true},
		"a clock and a volume":    {head + "    volumes: {data: {path: /a, size: 1Gi}}\n    cron: {schedule: '@daily'}", false},
		"a clock and a check":     {head + "    health: {timeoutSeconds: 1}\n    cron: {schedule: '@daily'}", false},
		"a sidecar":               {head + "    sidecars: {log: {image: a, command: [b], percent: 90}}", true},
		"no sidecars":             {head + "    sidecars: {}", true},
		"sidecars as a list":      {head + "    sidecars: [{image: a}]", false},
		"a sidecar's percent 4":   {head + "    sidecars: {log: {image: a, percent: 4}}", false},
		"a sidecar's percent 91":  {head + "    sidecars: {log: {image: a, percent: 91}}", false},
		"a sidecar of no image":   {head + "    sidecars: {log: {percent: 5}}", false},
		"a bad sidecar name":      {head + "    sidecars: {LOG: {image: a}}", false},
		"unknown in a sidecar":    {head + "    sidecars: {log: {image: a, ports: {}}}", false},
		"five sidecars":           {head + "    sidecars: {a: {image: a}, b: {image: a}, c: {image: a}, d: {image: a}, e: {image: a}}", false},
		"labels":                  {head + "labels: {team: a, a.b_c-d: ''}", true},
		"no labels":               {head + "labels: {}", true},
		"null for labels":         {head + "labels:", false},
		"a label of a number":     {head + "labels: {team: 1}", false},
		"a bad label":             {head + "labels: {Team: a}", false},
		"a label with a last dot": {head + "labels: {team.: a}", false},
		"an edge of nothing":      {head + "edge: {}", true},
		"networks":                {head + "edge: {allowedCIDRs: [10.0.0.0/8, '::1/128']}", true},
		"an address":              {head + "edge: {allowedCIDRs: [10.0.0.1]}", false},
		"one network as text":     {head + "edge: {allowedCIDRs: 10.0.0.0/8}", false},
		"bounds of nothing":       {head + "edge: {maxBodyMiB: 0, answerTimeoutSeconds: 0}", true},
		"a body below nothing":    {head + "edge: {maxBodyMiB: -1}", false},
		"an endless answer":       {head + "edge: {answerTimeoutSeconds: 3601}", false},
		"maintenance":             {head + "edge: {maintenance: true}", false},
		"timeout 9":               {head + "deployTimeoutSeconds: 9", false},
		"timeout 3600":            {head + "deployTimeoutSeconds: 3600", true},
	}
	schema := compileSchema(t)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, parseErr := appfile.Parse([]byte(test.text))
			var value any
			if err := yaml.Unmarshal([]byte(test.text), &value); err != nil {
				t.Fatal(err)
			}
			schemaErr := schema.Validate(value)
			if (parseErr == nil) != test.good || (schemaErr == nil) != test.good {
				t.Errorf("want good=%t\nparser: %v\nschema: %v", test.good, parseErr, schemaErr)
			}
		})
	}
}
