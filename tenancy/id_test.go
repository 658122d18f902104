package tenancy

import "testing"

func TestOnlyWhatCouldBeAnIDIsOne(t *testing.T) {
	drawn, err := NewID()
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{
		drawn: true, "abcdefgh": true, "a2345678": true,
		"": false, "abcdefg": false, "abcdefghi": false, "1bcdefgh": false, "abcDefgh": false, "abcd.fgh": false, "-bcdefgh": false, "abcdefg:": false,
	} {
		if IsID(text) != want {
			t.Errorf("%q: %t", text, !want)
		}
	}
}
