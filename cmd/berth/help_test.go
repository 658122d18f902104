package main

import (
	"bytes"
	"context"
	"os"
	"regexp"
	"strings"
	"testing"
)

// kubernetesWords are those a developer never has to meet.
var kubernetesWords = regexp.MustCompile(`(?i)\b(pods?|namespaces?|nodes?|v?clusters?|vcluster|kubernetes|kubectl)\b`)

func TestHelpOfDevelopersCommandsAvoidsTheWordsOfKubernetes(t *testing.T) {
	for _, command := range newRoot(&cli{}).Commands() {
		if command.GroupID == groupKubernetes || command.GroupID == groupMachine || command.GroupID == "" {
			continue
		}
		t.Run(command.Name(), func(t *testing.T) {
			if words := kubernetesWords.FindAllString(helpOf(t, command.Name()), -1); len(words) > 0 {
				t.Errorf("the help says %v", words)
			}
		})
	}
}

func TestEveryCommandHasHelpAndAGroup(t *testing.T) {
	for _, command := range newRoot(&cli{}).Commands() {
		if command.Hidden {
			continue
		}
		if command.Short == "" || strings.HasSuffix(command.Short, ".") {
			t.Errorf("%s: its short help is %q; write one line without a full stop", command.Name(), command.Short)
		}
		if command.GroupID == "" {
			t.Errorf("%s is in no group", command.Name())
		}
	}
}

func helpOf(t *testing.T, command string) string {
	t.Helper()
	var out bytes.Buffer
	if code := run(context.Background(), []string{command, "--help"}, strings.NewReader(""), &out, &out); code != 0 {
		t.Fatalf("help of %s ended with %d", command, code)
	}
	return out.String()
}

func TestTheDocumentationNamesEveryCommand(t *testing.T) {
	text, err := os.ReadFile("../../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range newRoot(&cli{}).Commands() {
		if !command.Hidden && !strings.Contains(string(text), "`"+command.Name()) {
			t.Errorf("docs/cli.md does not say what %s does", command.Name())
		}
	}
}
