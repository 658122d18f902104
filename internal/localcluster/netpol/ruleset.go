package netpol

import (
	"maps"
	"slices"

	"sigs.k8s.io/knftables"
)

// tableName is the one table that this package owns, of family inet.
const tableName = "berth-netpol"

// ruleset is the wanted content of the table. Two of them are compared to
// find the smallest transaction that leads from one to the other.
type ruleset struct {
	sets   map[string]*set
	maps   map[string]*verdictMap
	chains map[string]*chain
}

type set struct {
	typ      string
	interval bool
	// elements by their text, so that they compare; the value is what nft reads.
	elements map[string][]string
}

type verdictMap struct {
	typ string
	// verdicts by address.
	verdicts map[string]string
}

type chain struct {
	// hook and priority are empty for chains that are only jumped to.
	hook     knftables.BaseChainHook
	priority knftables.BaseChainPriority
	comment  string
	rules    []string
}

func newRuleset() *ruleset {
	return &ruleset{sets: map[string]*set{}, maps: map[string]*verdictMap{}, chains: map[string]*chain{}}
}

func (r *ruleset) set(name, typ string, interval bool) *set {
	s := &set{typ: typ, interval: interval, elements: map[string][]string{}}
	r.sets[name] = s
	return s
}

func (r *ruleset) verdictMap(name, typ string) *verdictMap {
	m := &verdictMap{typ: typ, verdicts: map[string]string{}}
	r.maps[name] = m
	return m
}

func (s *set) add(key ...string) {
	text := key[0]
	for _, part := range key[1:] {
		text += " . " + part
	}
	s.elements[text] = key
}

// replaceAll writes a transaction that makes the table be next, whatever is there now.
func replaceAll(tx *knftables.Transaction, next *ruleset) {
	tx.Add(&knftables.Table{})
	tx.Delete(&knftables.Table{})
	tx.Add(&knftables.Table{Comment: knftables.PtrTo("NetworkPolicy of the pods on this node")})
	for _, name := range counterNames {
		tx.Add(&knftables.Counter{Name: name})
	}
	change(tx, newRuleset(), next)
}

// change writes a transaction that leads from prev, the table's content now, to
// next. The order keeps every reference valid: new things, rules, elements, then
// what nothing refers to any more.
func change(tx *knftables.Transaction, prev, next *ruleset) {
	addObjects(tx, prev, next)
	changeRules(tx, prev, next)
	for _, name := range sortedKeys(next.sets) {
		changeSet(tx, name, prev.sets[name], next.sets[name])
	}
	for _, name := range sortedKeys(next.maps) {
		changeMap(tx, name, prev.maps[name], next.maps[name])
	}
	for _, name := range sortedKeys(prev.chains) {
		if next.chains[name] == nil {
			tx.Delete(&knftables.Chain{Name: name})
		}
	}
	for _, name := range sortedKeys(prev.sets) {
		if next.sets[name] == nil {
			tx.Delete(&knftables.Set{Name: name})
		}
	}
}

func addObjects(tx *knftables.Transaction, prev, next *ruleset) {
	for _, name := range sortedKeys(next.sets) {
		if prev.sets[name] == nil {
			s := next.sets[name]
			added := &knftables.Set{Name: name, Type: s.typ}
			if s.interval {
				added.Flags = []knftables.SetFlag{knftables.IntervalFlag}
			}
			tx.Add(added)
		}
	}
	for _, name := range sortedKeys(next.chains) {
		if prev.chains[name] == nil {
			tx.Add(next.chains[name].object(name))
		}
	}
	// The maps are the same few from the first transaction on.
	for _, name := range sortedKeys(next.maps) {
		if prev.maps[name] == nil {
			tx.Add(&knftables.Map{Name: name, Type: next.maps[name].typ})
		}
	}
}

func (c *chain) object(name string) *knftables.Chain {
	out := &knftables.Chain{Name: name}
	if c.comment != "" {
		comment := c.comment[:min(len(c.comment), knftables.CommentLengthMax)]
		out.Comment = &comment
	}
	if c.hook != "" {
		out.Type = knftables.PtrTo(knftables.FilterType)
		out.Hook = &c.hook
		out.Priority = &c.priority
	}
	return out
}

func changeRules(tx *knftables.Transaction, prev, next *ruleset) {
	for _, name := range sortedKeys(prev.chains) {
		if next.chains[name] == nil {
			tx.Flush(&knftables.Chain{Name: name})
		}
	}
	for _, name := range sortedKeys(next.chains) {
		now, before := next.chains[name], prev.chains[name]
		if before != nil {
			if slices.Equal(before.rules, now.rules) {
				continue
			}
			tx.Flush(&knftables.Chain{Name: name})
		}
		for _, rule := range now.rules {
			tx.Add(&knftables.Rule{Chain: name, Rule: rule})
		}
	}
}

func changeSet(tx *knftables.Transaction, name string, before, now *set) {
	var old map[string][]string
	if before != nil {
		old = before.elements
	}
	if now.interval {
		// Ranges may overlap ranges that are about to go: rewrite such a set whole.
		if maps.EqualFunc(old, now.elements, slices.Equal) {
			return
		}
		if before != nil {
			tx.Flush(&knftables.Set{Name: name})
		}
		old = nil
	}
	for _, text := range sortedKeys(old) {
		if _, stays := now.elements[text]; !stays {
			tx.Delete(&knftables.Element{Set: name, Key: old[text]})
		}
	}
	for _, text := range sortedKeys(now.elements) {
		if _, had := old[text]; !had {
			tx.Add(&knftables.Element{Set: name, Key: now.elements[text]})
		}
	}
}

func changeMap(tx *knftables.Transaction, name string, before, now *verdictMap) {
	var old map[string]string
	if before != nil {
		old = before.verdicts
	}
	for _, addr := range sortedKeys(old) {
		if now.verdicts[addr] != old[addr] {
			tx.Delete(&knftables.Element{Map: name, Key: []string{addr}})
		}
	}
	for _, addr := range sortedKeys(now.verdicts) {
		if now.verdicts[addr] != old[addr] {
			tx.Add(&knftables.Element{Map: name, Key: []string{addr}, Value: []string{now.verdicts[addr]}})
		}
	}
}

func sortedKeys[V any](m map[string]V) []string {
	return slices.Sorted(maps.Keys(m))
}
