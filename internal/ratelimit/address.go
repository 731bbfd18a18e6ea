package ratelimit

import (
	"fmt"
	"net/netip"
	"strings"
)

// Proxies are the networks whose X-Forwarded-For is believed.
type Proxies []netip.Prefix

// ParseProxies reads a list of addresses and networks, separated by commas or spaces, such as "127.0.0.1, 10.0.0.0/8".
func ParseProxies(list string) (Proxies, error) {
	var proxies Proxies
	for _, text := range strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' }) {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			address, addressErr := netip.ParseAddr(text)
			if addressErr != nil || address.Zone() != "" {
				return nil, fmt.Errorf("%q is neither an address nor a network", text)
			}
			prefix = netip.PrefixFrom(address, address.BitLen())
		}
		proxies = append(proxies, unmapPrefix(prefix).Masked())
	}
	return proxies, nil
}

// unmapPrefix turns ::ffff:10.0.0.0/104 into 10.0.0.0/8, which is what addresses are compared with.
func unmapPrefix(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p
}

func (p Proxies) trust(a netip.Addr) bool {
	for _, prefix := range p {
		if prefix.Contains(a) {
			return true
		}
	}
	return false
}

// maxHops bounds how many entries of X-Forwarded-For are looked at: no real chain of proxies is longer.
const maxHops = 32

// Client returns the address a request came from. peer is the connection's other end ("host:port"), forwarded the values
// of X-Forwarded-For in the order in which they came.
//
// Each proxy appends whom it heard from, so the list is read from its right end, as long as the one who wrote an entry is
// trusted: the first untrusted address is the client, whatever it claims further left. An entry that is no address ends
// the walk at the last proxy that is known.
func (p Proxies) Client(peer string, forwarded []string) (netip.Addr, bool) {
	client, ok := parseHop(peer)
	if !ok {
		return netip.Addr{}, false
	}
	hops := 0
	for i := len(forwarded) - 1; i >= 0; i-- {
		rest := forwarded[i]
		for more := true; more; hops++ {
			if hops >= maxHops || !p.trust(client) {
				return client, true
			}
			var entry string
			if at := strings.LastIndexByte(rest, ','); at >= 0 {
				rest, entry = rest[:at], rest[at+1:]
			} else {
				entry, more = rest, false
			}
			next, ok := parseHop(strings.TrimSpace(entry))
			if !ok {
				return client, true
			}
			client = next
		}
	}
	return client, true
}

// parseHop reads an address with or without a port; a zone is dropped, for it is the sender's.
func parseHop(s string) (netip.Addr, bool) {
	if len(s) > 64 {
		return netip.Addr{}, false
	}
	if withPort, err := netip.ParseAddrPort(s); err == nil {
		return withPort.Addr().Unmap().WithZone(""), true
	}
	s = strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}, false
	}
	return a.Unmap().WithZone(""), true
}

// AddressKey returns what an address is counted under: an IPv4 address by itself, an IPv6 address by its /64, which is
// what one household or phone is given and can roam in freely.
func AddressKey(a netip.Addr) string {
	a = a.Unmap()
	if a.Is4() {
		return a.String()
	}
	prefix, err := a.WithZone("").Prefix(64)
	if err != nil {
		return "none"
	}
	return prefix.Addr().String() + "/64"
}
