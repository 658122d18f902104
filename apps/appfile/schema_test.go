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
