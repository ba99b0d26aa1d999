build/%.o: % Makefile
	@mkdir -p build
	$(CC) $(CFLAGS) -c -o $@ $<

clean:
	rm -rf build

-include $(OBJECTS:.o=.d)
