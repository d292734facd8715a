run test check lock:
	python3 dev.py $@
