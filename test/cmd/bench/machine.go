package main

import (
	"os"
	"strconv"
	"strings"
)

// processors is what the kernel has counted of all processors since the start, in ticks.
type processors struct{ all, taken float64 }

// readProcessors reads /proc/stat; elsewhere than on Linux it returns nothing.
func readProcessors() processors {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return processors{}
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return parseProcessors(line)
}

// parseProcessors reads "cpu user nice system idle iowait irq softirq steal guest guest_nice"; the guests are in user and nice.
func parseProcessors(line string) processors {
	const steal, fields = 8, 9
	var p processors
	parts := strings.Fields(line)
	for i := 1; i < min(len(parts), fields); i++ {
		n, err := strconv.ParseFloat(parts[i], 64)
		if err != nil {
			return processors{}
		}
		p.all += n
		if i == steal {
			p.taken = n
		}
	}
	return p
}

// takenSince returns which share of the processors was given to other machines since then. A virtual machine's figures say
// nothing about the program where that is much: at 10%, the 99th percentile of an answer was three times what it is at none.
func (p processors) takenSince(then processors) float64 {
	if p.all <= then.all {
		return 0
	}
	return (p.taken - then.taken) / (p.all - then.all)
}
