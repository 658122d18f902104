package netpol

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
)

// ipRange is an unbroken run of addresses of one family, both ends included.
type ipRange struct{ from, to netip.Addr }

// String is the form nft reads; it refuses ranges of one.
func (r ipRange) String() string {
	if r.from == r.to {
		return r.from.String()
	}
	return r.from.String() + "-" + r.to.String()
}

func (r ipRange) contains(a netip.Addr) bool {
	return a.Is4() == r.from.Is4() && r.from.Compare(a) <= 0 && a.Compare(r.to) <= 0
}

func parseBlock(cidr string) (ipRange, error) {
	prefix, err := netip.ParsePrefix(cidr)
	if err != nil {
		return ipRange{}, fmt.Errorf("reading block %q: %w", cidr, err)
	}
	prefix = prefix.Masked()
	last := prefix.Addr().AsSlice()
	for bit := prefix.Bits(); bit < len(last)*8; bit++ {
		last[bit/8] |= 1 << (7 - bit%8)
	}
	to, _ := netip.AddrFromSlice(last)
	return ipRange{from: prefix.Addr(), to: to}, nil
}

// blockRanges is the block without its exceptions. A block that cannot be read in
// full matches nothing: dropping one exception would open what was meant to be shut.
func blockRanges(block *networkingv1.IPBlock) ([]ipRange, error) {
	whole, err := parseBlock(block.CIDR)
	if err != nil {
		return nil, err
	}
	left := []ipRange{whole}
	for _, except := range block.Except {
		cut, err := parseBlock(except)
		if err != nil {
			return nil, err
		}
		left = subtract(left, cut)
	}
	return left, nil
}

func subtract(from []ipRange, cut ipRange) []ipRange {
	var left []ipRange
	for _, r := range from {
		if r.from.Is4() != cut.from.Is4() || r.to.Less(cut.from) || cut.to.Less(r.from) {
			left = append(left, r)
			continue
		}
		if r.from.Less(cut.from) {
			left = append(left, ipRange{from: r.from, to: cut.from.Prev()})
		}
		if cut.to.Less(r.to) {
			left = append(left, ipRange{from: cut.to.Next(), to: r.to})
		}
	}
	return left
}

// merge sorts ranges and joins those that overlap or touch: an interval set
// refuses elements that overlap.
func merge(ranges []ipRange) []ipRange {
	sorted := slices.Clone(ranges)
	slices.SortFunc(sorted, func(a, b ipRange) int {
		return cmp.Or(a.from.Compare(b.from), a.to.Compare(b.to))
	})
	var out []ipRange
	for _, r := range sorted {
		if len(out) > 0 {
			last := &out[len(out)-1]
			if last.from.Is4() == r.from.Is4() && touches(last.to, r.from) {
				if last.to.Less(r.to) {
					last.to = r.to
				}
				continue
			}
		}
		out = append(out, r)
	}
	return out
}

func touches(end, start netip.Addr) bool {
	return !end.Less(start) || end.Next() == start
}

// portRange is an unbroken run of port numbers, both ends included.
type portRange struct{ from, to uint16 }

// String is the form nft reads; it refuses ranges of one.
func (r portRange) String() string {
	if r.from == r.to {
		return fmt.Sprint(r.from)
	}
	return fmt.Sprintf("%d-%d", r.from, r.to)
}

func mergePorts(ranges []portRange) []portRange {
	sorted := slices.Clone(ranges)
	slices.SortFunc(sorted, func(a, b portRange) int {
		return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to))
	})
	var out []portRange
	for _, r := range sorted {
		if n := len(out); n > 0 && int(r.from) <= int(out[n-1].to)+1 {
			out[n-1].to = max(out[n-1].to, r.to)
			continue
		}
		out = append(out, r)
	}
	return out
}
