/* llama.h: the library itself. */

const char * llama_version(void);
size_t llama_max_parallel_sequences(void);
bool llama_supports_mmap(void);
bool llama_supports_mlock(void);
bool llama_supports_gpu_offload(void);
size_t llama_max_devices(void);
