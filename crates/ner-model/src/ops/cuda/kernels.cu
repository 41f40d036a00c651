// The encoder's kernels for NVIDIA GPUs, compiled at run time by NVRTC.
//
// The program that compiles them defines HEAD_DIM and, where activations are in bf16, BF16. All sums are f32. Matrices are row-major; a sequence
// has the rows boundaries[s] to boundaries[s + 1] of them, end to end with the others.
#include <cuda_bf16.h>
#include <mma.h>

using namespace nvcuda;

#ifdef BF16
typedef __nv_bfloat16 T;
typedef __nv_bfloat16 Factor;
#define DEPTH 16
#else
typedef float T;
typedef wmma::precision::tf32 Factor;
#define DEPTH 8
#endif

#define WARP 32
#define ALL 0xffffffffu
#define TILE 16
// Columns of a row that a warp takes at a time, and how often: rows of up to 1,024.
#define STRIDE (4 * WARP)
#define STEPS 8

struct Dropout {
    unsigned seed;
    unsigned threshold;
    float scale;
    int acts;
};

struct Four {
    float v[4];
};

__device__ __forceinline__ Four load4(const float *p) {
    float4 x = *reinterpret_cast<const float4 *>(p);
    Four out = {{x.x, x.y, x.z, x.w}};
    return out;
}

__device__ __forceinline__ Four load4(const __nv_bfloat16 *p) {
    uint2 x = *reinterpret_cast<const uint2 *>(p);
    Four out = {{__uint_as_float(x.x << 16), __uint_as_float(x.x & 0xffff0000u), __uint_as_float(x.y << 16),
                 __uint_as_float(x.y & 0xffff0000u)}};
    return out;
}

__device__ __forceinline__ void store4(float *p, Four x) {
    *reinterpret_cast<float4 *>(p) = make_float4(x.v[0], x.v[1], x.v[2], x.v[3]);
}

__device__ __forceinline__ unsigned pair(float low, float high) {
    __nv_bfloat162 x = __float22bfloat162_rn(make_float2(low, high));
    return *reinterpret_cast<unsigned *>(&x);
}

__device__ __forceinline__ void store4(__nv_bfloat16 *p, Four x) {
    *reinterpret_cast<uint2 *>(p) = make_uint2(pair(x.v[0], x.v[1]), pair(x.v[2], x.v[3]));
}

__device__ __forceinline__ float number(float x) { return x; }
__device__ __forceinline__ float number(__nv_bfloat16 x) { return __bfloat162float(x); }
__device__ __forceinline__ void assign(float &to, float x) { to = x; }
__device__ __forceinline__ void assign(__nv_bfloat16 &to, float x) { to = __float2bfloat16(x); }

__device__ __forceinline__ float warp_sum(float x) {
    for (int step = WARP / 2; step > 0; step /= 2) x += __shfl_xor_sync(ALL, x, step);
    return x;
}

__device__ __forceinline__ float warp_max(float x) {
    for (int step = WARP / 2; step > 0; step /= 2) x = fmaxf(x, __shfl_xor_sync(ALL, x, step));
    return x;
}

// The same mask as on CPUs: a hash of seed and row, mixed with the column.
__device__ __forceinline__ unsigned row_key(Dropout dropout, unsigned long long row) {
    unsigned long long h = row ^ ((unsigned long long)dropout.seed << 32 | dropout.seed);
    h = (h ^ (h >> 33)) * 0xff51afd7ed558ccdull;
    h = (h ^ (h >> 33)) * 0xc4ceb9fe1a85ec53ull;
    return (unsigned)(h ^ (h >> 33));
}

__device__ __forceinline__ float kept(Dropout dropout, unsigned key, unsigned column) {
    if (!dropout.acts) return 1.0f;
    unsigned h = (column * 0x9e3779b9u) ^ key;
    h = (h ^ (h >> 16)) * 0x85ebca6bu;
    h = (h ^ (h >> 13)) * 0xc2b2ae35u;
    return (h ^ (h >> 16)) >= dropout.threshold ? dropout.scale : 0.0f;
}

// Copies a matrix of f32 into rows that are `stride` apart.
extern "C" __global__ void pack(const float *x, T *y, long long rows, int columns, int stride) {
    long long quads = rows * (columns / 4);
    for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < quads; i += gridDim.x * (long long)blockDim.x) {
        long long row = i / (columns / 4);
        int column = (int)(i % (columns / 4)) * 4;
        store4(y + row * stride + column, load4(x + row * columns + column));
    }
}

// Mean and deviation of a row that its warp holds, which becomes normalized.
__device__ __forceinline__ float normalize(Four *row, int width, float epsilon, int lane) {
    float sum = 0.0f;
#pragma unroll
    for (int i = 0; i < STEPS; i++)
        if (i * STRIDE + lane * 4 < width)
            for (int j = 0; j < 4; j++) sum += row[i].v[j];
    float mean = warp_sum(sum) / width;
    float squares = 0.0f;
#pragma unroll
    for (int i = 0; i < STEPS; i++)
        if (i * STRIDE + lane * 4 < width)
            for (int j = 0; j < 4; j++) squares += (row[i].v[j] - mean) * (row[i].v[j] - mean);
    float inverse = rsqrtf(warp_sum(squares) / width + epsilon);
#pragma unroll
    for (int i = 0; i < STEPS; i++)
        for (int j = 0; j < 4; j++) row[i].v[j] = (row[i].v[j] - mean) * inverse;
    return inverse;
}

// y = LayerNorm(dropout(x + bias) + residual); a warp a row. `normalized` may be null.
extern "C" __global__ void residual_norm(const T *x, const float *bias, const T *residual, const float *gamma, const float *beta, T *y,
                                         T *normalized, float *inverses, int rows, int width, float epsilon, Dropout dropout) {
    int row = blockIdx.x * (blockDim.x / WARP) + threadIdx.x / WARP, lane = threadIdx.x % WARP;
    if (row >= rows) return;
    unsigned key = row_key(dropout, row);
    long long start = (long long)row * width;
    Four values[STEPS];
#pragma unroll
    for (int i = 0; i < STEPS; i++) {
        int column = i * STRIDE + lane * 4;
        if (column >= width) continue;
        Four a = load4(x + start + column), b = load4(bias + column), r = load4(residual + start + column);
        for (int j = 0; j < 4; j++) values[i].v[j] = (a.v[j] + b.v[j]) * kept(dropout, key, column + j) + r.v[j];
    }
    float inverse = normalize(values, width, epsilon, lane);
#pragma unroll
    for (int i = 0; i < STEPS; i++) {
        int column = i * STRIDE + lane * 4;
        if (column >= width) continue;
        Four g = load4(gamma + column), b = load4(beta + column), out;
        for (int j = 0; j < 4; j++) out.v[j] = values[i].v[j] * g.v[j] + b.v[j];
        store4(y + start + column, out);
        if (normalized) store4(normalized + start + column, values[i]);
    }
    if (lane == 0 && inverses) inverses[row] = inverse;
}

// Gradient of what LayerNorm took, from that of what it gave (already in `d`).
__device__ __forceinline__ void norm_gradient(Four *d, const Four *normalized, float inverse, int width, int lane) {
    float sum = 0.0f, product = 0.0f;
#pragma unroll
    for (int i = 0; i < STEPS; i++)
        if (i * STRIDE + lane * 4 < width)
            for (int j = 0; j < 4; j++) {
                sum += d[i].v[j];
                product += d[i].v[j] * normalized[i].v[j];
            }
    sum = warp_sum(sum) / width;
    product = warp_sum(product) / width;
#pragma unroll
    for (int i = 0; i < STEPS; i++)
        for (int j = 0; j < 4; j++) d[i].v[j] = inverse * (d[i].v[j] - sum - normalized[i].v[j] * product);
}

// Gradients of the residual and of x + bias; `d_x` may be null where nothing is dropped, as both are the same then.
extern "C" __global__ void residual_norm_backward(const T *gradient, const T *normalized, const float *inverses, const float *gamma,
                                                  T *d_residual, T *d_x, int rows, int width, Dropout dropout) {
    int row = blockIdx.x * (blockDim.x / WARP) + threadIdx.x / WARP, lane = threadIdx.x % WARP;
    if (row >= rows) return;
    unsigned key = row_key(dropout, row);
    long long start = (long long)row * width;
    Four d[STEPS], n[STEPS];
#pragma unroll
    for (int i = 0; i < STEPS; i++) {
        int column = i * STRIDE + lane * 4;
        if (column >= width) continue;
        Four dy = load4(gradient + start + column), g = load4(gamma + column);
        n[i] = load4(normalized + start + column);
        for (int j = 0; j < 4; j++) d[i].v[j] = dy.v[j] * g.v[j];
    }
    norm_gradient(d, n, inverses[row], width, lane);
#pragma unroll
    for (int i = 0; i < STEPS; i++) {
        int column = i * STRIDE + lane * 4;
        if (column >= width) continue;
        store4(d_residual + start + column, d[i]);
        if (!d_x) continue;
        Four out;
        for (int j = 0; j < 4; j++) out.v[j] = d[i].v[j] * kept(dropout, key, column + j);
        store4(d_x + start + column, out);
    }
}

// Sum of word, position and (where there is one) type embedding, LayerNorm, dropout.
extern "C" __global__ void embed(const float *words, const float *positions, const float *type, const int *ids, const int *places,
                                 const float *gamma, const float *beta, T *y, T *normalized, float *inverses, int rows, int width,
                                 float epsilon, Dropout dropout) {
    int row = blockIdx.x * (blockDim.x / WARP) + threadIdx.x / WARP, lane = threadIdx.x % WARP;
    if (row >= rows) return;
    unsigned key = row_key(dropout, row);
    long long start = (long long)row * width;
    Four values[STEPS];
#pragma unroll
    for (int i = 0; i < STEPS; i++) {
        int column = i * STRIDE + lane * 4;
        if (column >= width) continue;
        Four w = load4(words + (long long)ids[row] * width + column), p = load4(positions + (long long)places[row] * width + column);
        for (int j = 0; j < 4; j++) values[i].v[j] = w.v[j] + p.v[j];
        if (!type) continue;
        Four t = load4(type + column);
        for (int j = 0; j < 4; j++) values[i].v[j] += t.v[j];
    }
    float inverse = normalize(values, width, epsilon, lane);
#pragma unroll
    for (int i = 0; i < STEPS; i++) {
        int column = i * STRIDE + lane * 4;
        if (column >= width) continue;
        Four g = load4(gamma + column), b = load4(beta + column), out;
        for (int j = 0; j < 4; j++) out.v[j] = (values[i].v[j] * g.v[j] + b.v[j]) * kept(dropout, key, column + j);
        store4(y + start + column, out);
        if (normalized) store4(normalized + start + column, values[i]);
    }
    if (lane == 0 && inverses) inverses[row] = inverse;
}

// Gradient of LayerNorm's output, and of the sum of embeddings, which is f32.
extern "C" __global__ void embed_backward(const T *gradient, const T *normalized, const float *inverses, const float *gamma, T *d_norm,
                                          float *d_sum, int rows, int width, Dropout dropout) {
    int row = blockIdx.x * (blockDim.x / WARP) + threadIdx.x / WARP, lane = threadIdx.x % WARP;
    if (row >= rows) return;
    unsigned key = row_key(dropout, row);
    long long start = (long long)row * width;
    Four d[STEPS], n[STEPS];
#pragma unroll
    for (int i = 0; i < STEPS; i++) {
        int column = i * STRIDE + lane * 4;
        if (column >= width) continue;
        Four dy = load4(gradient + start + column), g = load4(gamma + column);
        n[i] = load4(normalized + start + column);
        for (int j = 0; j < 4; j++) dy.v[j] *= kept(dropout, key, column + j);
        store4(d_norm + start + column, dy);
        for (int j = 0; j < 4; j++) d[i].v[j] = dy.v[j] * g.v[j];
    }
    norm_gradient(d, n, inverses[row], width, lane);
#pragma unroll
    for (int i = 0; i < STEPS; i++) {
        int column = i * STRIDE + lane * 4;
        if (column < width) store4(d_sum + start + column, d[i]);
    }
}

// Rows of a table's gradient: for the u-th id the sum of the rows order[starts[u]] to order[starts[u + 1] - 1] of d. A block an id.
extern "C" __global__ void sum_by_id(const float *d, const int *order, const int *starts, const int *ids, float *table, int width) {
    int begin = starts[blockIdx.x], end = starts[blockIdx.x + 1];
    for (int column = threadIdx.x * 4; column < width; column += blockDim.x * 4) {
        Four sum = {{0.0f, 0.0f, 0.0f, 0.0f}};
        for (int i = begin; i < end; i++) {
            Four x = load4(d + (long long)order[i] * width + column);
            for (int j = 0; j < 4; j++) sum.v[j] += x.v[j];
        }
        store4(table + (long long)ids[blockIdx.x] * width + column, sum);
    }
}

// Sums of each column over a part of the rows: of a, and where there is b, of a * b behind them. Blocks of 32 x 8 threads take 128 columns;
// the grid's y counts the parts.
template <typename A>
__device__ __forceinline__ void sum_columns(const A *a, const A *b, float *parts, int rows, int width, int rows_of_part) {
    __shared__ float shared[8][STRIDE];
    int lane = threadIdx.x % WARP, line = threadIdx.x / WARP;
    int column = blockIdx.x * STRIDE + lane * 4;
    int begin = blockIdx.y * rows_of_part, end = min(rows, begin + rows_of_part);
    Four sum = {{0.0f, 0.0f, 0.0f, 0.0f}}, product = {{0.0f, 0.0f, 0.0f, 0.0f}};
    if (column < width)
        for (int row = begin + line; row < end; row += 8) {
            Four x = load4(a + (long long)row * width + column);
            for (int j = 0; j < 4; j++) sum.v[j] += x.v[j];
            if (!b) continue;
            Four y = load4(b + (long long)row * width + column);
            for (int j = 0; j < 4; j++) product.v[j] += x.v[j] * y.v[j];
        }
    float *part = parts + (long long)blockIdx.y * width * (b ? 2 : 1);
    for (int pass = 0; pass < (b ? 2 : 1); pass++) {
        for (int j = 0; j < 4; j++) shared[line][lane * 4 + j] = pass ? product.v[j] : sum.v[j];
        __syncthreads();
        if (threadIdx.x < STRIDE && blockIdx.x * STRIDE + threadIdx.x < width) {
            float total = 0.0f;
            for (int i = 0; i < 8; i++) total += shared[i][threadIdx.x];
            part[pass * width + blockIdx.x * STRIDE + threadIdx.x] = total;
        }
        __syncthreads();
    }
}

extern "C" __global__ void column_sums(const T *a, const T *b, float *parts, int rows, int width, int rows_of_part) {
    sum_columns(a, b, parts, rows, width, rows_of_part);
}

extern "C" __global__ void column_sums_f32(const float *a, float *parts, int rows, int width, int rows_of_part) {
    sum_columns<float>(a, 0, parts, rows, width, rows_of_part);
}

// Sums of the parts, whose rows are `stride` apart.
extern "C" __global__ void finish_columns(const float *parts, float *sums, int count, int width, int stride) {
    int column = blockIdx.x * blockDim.x + threadIdx.x;
    if (column >= width) return;
    float sum = 0.0f;
    for (int part = 0; part < count; part++) sum += parts[(long long)part * stride + column];
    sums[column] = sum;
}

// Sums of the columns of few: a block a column.
extern "C" __global__ void narrow_column_sums(const float *x, float *sums, int rows, int width) {
    __shared__ float shared[WARP];
    float sum = 0.0f;
    for (int row = threadIdx.x; row < rows; row += blockDim.x) sum += x[(long long)row * width + blockIdx.x];
    sum = warp_sum(sum);
    if (threadIdx.x % WARP == 0) shared[threadIdx.x / WARP] = sum;
    __syncthreads();
    if (threadIdx.x == 0) {
        float total = 0.0f;
        for (int i = 0; i < blockDim.x / WARP; i++) total += shared[i];
        sums[blockIdx.x] = total;
    }
}

__device__ __forceinline__ float normal_share(float x) { return 0.5f * (1.0f + erff(x * 0.70710678118654752f)); }

// y = GELU(x + bias)
extern "C" __global__ void gelu(const T *x, const float *bias, T *y, long long count, int width) {
    long long i = (blockIdx.x * (long long)blockDim.x + threadIdx.x) * 4;
    if (i >= count) return;
    Four a = load4(x + i), b = load4(bias + (int)(i % width)), out;
    for (int j = 0; j < 4; j++) {
        float v = a.v[j] + b.v[j];
        out.v[j] = v * normal_share(v);
    }
    store4(y + i, out);
}

// Multiplies a gradient with the derivative of GELU at x + bias.
extern "C" __global__ void gelu_backward(const T *x, const float *bias, T *gradient, long long count, int width) {
    long long i = (blockIdx.x * (long long)blockDim.x + threadIdx.x) * 4;
    if (i >= count) return;
    Four a = load4(x + i), b = load4(bias + (int)(i % width)), d = load4(gradient + i);
    for (int j = 0; j < 4; j++) {
        float v = a.v[j] + b.v[j];
        d.v[j] *= normal_share(v) + v * 0.39894228040143268f * expf(-0.5f * v * v);
    }
    store4(gradient + i, d);
}

// The rows of x that are asked for, in f32.
extern "C" __global__ void gather_rows(const T *x, const int *index, float *y, int count, int width) {
    long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    int quads = width / 4;
    if (i >= (long long)count * quads) return;
    long long row = i / quads;
    int column = (int)(i % quads) * 4;
    store4(y + row * width + column, load4(x + (long long)index[row] * width + column));
}

// Its gradient, in a matrix of zeros; no row is asked for twice.
extern "C" __global__ void scatter_rows(const float *gradient, const int *index, T *d_x, int count, int width) {
    long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    int quads = width / 4;
    if (i >= (long long)count * quads) return;
    long long row = i / quads;
    int column = (int)(i % quads) * 4;
    store4(d_x + (long long)index[row] * width + column, load4(gradient + row * width + column));
}

extern "C" __global__ void dropout_rows(const float *x, float *y, int rows, int width, Dropout dropout) {
    long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (i >= (long long)rows * width) return;
    y[i] = x[i] * kept(dropout, row_key(dropout, i / width), (unsigned)(i % width));
}

// y = x * factor, of a factor in the device's memory.
extern "C" __global__ void scale(const float *x, const float *factor, float *y, long long count) {
    long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (i < count) y[i] = x[i] * factor[0];
}

extern "C" __global__ void add_bias(float *y, const float *bias, long long count, int width) {
    long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (i < count) y[i] += bias[i % width];
}

// Attention. A warp takes 16 queries (or, in the last kernel, keys) of one head of one sequence; blockIdx is (tiles, head, sequence).

typedef wmma::fragment<wmma::matrix_a, TILE, TILE, DEPTH, Factor, wmma::row_major> Left;
typedef wmma::fragment<wmma::matrix_a, TILE, TILE, DEPTH, Factor, wmma::col_major> LeftTransposed;
typedef wmma::fragment<wmma::matrix_b, TILE, TILE, DEPTH, Factor, wmma::row_major> Right;
typedef wmma::fragment<wmma::matrix_b, TILE, TILE, DEPTH, Factor, wmma::col_major> RightTransposed;
typedef wmma::fragment<wmma::accumulator, TILE, TILE, DEPTH, float> Sums;

template <typename Fragment>
__device__ __forceinline__ void load(Fragment &fragment, const T *p, unsigned stride) {
    wmma::load_matrix_sync(fragment, p, stride);
#ifndef BF16
    for (int i = 0; i < fragment.num_elements; i++) fragment.x[i] = wmma::__float_to_tf32(fragment.x[i]);
#endif
}

// Products of 16 rows of `left` with all rows of `right`, `columns` of them, into shared memory.
__device__ __forceinline__ void row_products(const T *left, unsigned left_stride, const T *right, unsigned right_stride, int columns,
                                             float *out, int out_stride) {
    Left a[HEAD_DIM / DEPTH];
#pragma unroll
    for (int d = 0; d < HEAD_DIM / DEPTH; d++) load(a[d], left + d * DEPTH, left_stride);
    for (int column = 0; column < columns; column += TILE) {
        Sums sums;
        wmma::fill_fragment(sums, 0.0f);
#pragma unroll
        for (int d = 0; d < HEAD_DIM / DEPTH; d++) {
            RightTransposed b;
            load(b, right + (long long)column * right_stride + d * DEPTH, right_stride);
            wmma::mma_sync(sums, a[d], b, sums);
        }
        wmma::store_matrix_sync(out + column, sums, out_stride, wmma::mem_row_major);
    }
}

// Sum over `depth` rows of `right` of the products with columns of `left`, into shared memory of 16 x HEAD_DIM.
template <typename LeftFragment>
__device__ __forceinline__ void weighted_rows(const T *left, unsigned left_stride, unsigned left_step, const T *right, unsigned right_stride,
                                              int depth, float *out, int out_stride) {
    Sums sums[HEAD_DIM / TILE];
#pragma unroll
    for (int d = 0; d < HEAD_DIM / TILE; d++) wmma::fill_fragment(sums[d], 0.0f);
    for (int k = 0; k < depth; k += DEPTH) {
        LeftFragment a;
        load(a, left + (long long)k * left_step, left_stride);
#pragma unroll
        for (int d = 0; d < HEAD_DIM / TILE; d++) {
            Right b;
            load(b, right + (long long)k * right_stride + d * TILE, right_stride);
            wmma::mma_sync(sums[d], a, b, sums[d]);
        }
    }
    __syncwarp();
#pragma unroll
    for (int d = 0; d < HEAD_DIM / TILE; d++)
        wmma::store_matrix_sync(out + d * TILE, sums[d], out_stride, wmma::mem_row_major);
    __syncwarp();
}

// Writes the first `rows` of 16 rows.
__device__ __forceinline__ void write_rows(const float *from, int from_stride, T *to, long long to_stride, int rows, int lane) {
    for (int i = lane; i < TILE * (HEAD_DIM / 4); i += WARP) {
        int row = i / (HEAD_DIM / 4), column = i % (HEAD_DIM / 4) * 4;
        if (row < rows) store4(to + row * to_stride + column, load4(from + row * from_stride + column));
    }
    __syncwarp();
}

// Floats of a row of shared memory, for sequences of up to `longest` sub-words.
__device__ __forceinline__ int shared_stride(int longest) {
    int padded = (longest + TILE - 1) / TILE * TILE;
    return max(padded, HEAD_DIM) + 8;
}

// Scores of a row that a lane holds at a time: sequences of up to 512.
#define PIECES 16

// context = softmax(query * key^T * scale) * value. `projected` holds query, key and value side by side, and 16 rows behind the last.
extern "C" __global__ void attention(const T *projected, T *context, float *log_sums, const int *boundaries, int heads, int rows, int longest,
                                     float scale, Dropout dropout) {
    extern __shared__ float4 memory[];
    int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
    int head = blockIdx.y, start = boundaries[blockIdx.z], length = boundaries[blockIdx.z + 1] - start;
    int query = (blockIdx.x * (blockDim.x / WARP) + warp) * TILE;
    if (query >= length) return;
    int stride = shared_stride(longest), padded = (length + TILE - 1) / TILE * TILE;
    float *scores = reinterpret_cast<float *>(memory) + warp * TILE * stride;
    unsigned hidden = heads * HEAD_DIM, wide = 3 * hidden;
    const T *base = projected + (long long)start * wide + head * HEAD_DIM;

    row_products(base + (long long)query * wide, wide, base + hidden, wide, padded, scores, stride);
    __syncwarp();
    int count = min(TILE, length - query);
    for (int row = 0; row < TILE; row++) {
        float *line = scores + row * stride;
        float values[PIECES], largest = -3.0e38f, sum = 0.0f;
#pragma unroll
        for (int i = 0; i < PIECES; i++) {
            int column = i * WARP + lane;
            values[i] = column < length ? line[column] * scale : -3.0e38f;
            largest = fmaxf(largest, values[i]);
        }
        largest = warp_max(largest);
#pragma unroll
        for (int i = 0; i < PIECES; i++) {
            values[i] = i * WARP + lane < length ? expf(values[i] - largest) : 0.0f;
            sum += values[i];
        }
        sum = warp_sum(sum);
        if (lane == 0 && log_sums && row < count) log_sums[(long long)head * rows + start + query + row] = largest + logf(sum);
        unsigned key = row_key(dropout, (unsigned long long)(start + query + row) * heads + head);
        T *out = reinterpret_cast<T *>(line);
        __syncwarp();
#pragma unroll
        for (int i = 0; i < PIECES; i++) {
            int column = i * WARP + lane;
            if (column < padded) assign(out[column], values[i] / sum * kept(dropout, key, column));
        }
    }
    __syncwarp();
    weighted_rows<Left>(reinterpret_cast<T *>(scores), stride * (sizeof(float) / sizeof(T)), 1, base + 2 * hidden, wide, padded, scores, stride);
    write_rows(scores, stride, context + (long long)(start + query) * hidden + head * HEAD_DIM, hidden, count, lane);
}

// Gradient of the queries; and of the scores and the dropped probabilities, which go to `d_scores` and `weights`, for each sequence and head a
// square of its length rounded up to 16, from offsets[sequence] on.
extern "C" __global__ void attention_backward_queries(const T *projected, const T *context, const T *d_context, const float *log_sums,
                                                      const int *boundaries, const long long *offsets, T *weights, T *d_scores,
                                                      T *d_projected, int heads, int rows, int longest, float scale, Dropout dropout) {
    extern __shared__ float4 memory[];
    int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
    int head = blockIdx.y, start = boundaries[blockIdx.z], length = boundaries[blockIdx.z + 1] - start;
    int query = (blockIdx.x * (blockDim.x / WARP) + warp) * TILE;
    if (query >= length) return;
    int stride = shared_stride(longest), padded = (length + TILE - 1) / TILE * TILE;
    float *scores = reinterpret_cast<float *>(memory) + warp * 2 * TILE * stride;
    float *d_weights = scores + TILE * stride;
    unsigned hidden = heads * HEAD_DIM, wide = 3 * hidden;
    const T *base = projected + (long long)start * wide + head * HEAD_DIM;
    long long place = (long long)(start + query) * hidden + head * HEAD_DIM;
    long long square = offsets[blockIdx.z] + (long long)head * padded * padded + (long long)query * padded;

    row_products(base + (long long)query * wide, wide, base + hidden, wide, padded, scores, stride);
    row_products(d_context + place, hidden, base + 2 * hidden, wide, padded, d_weights, stride);
    __syncwarp();
    int count = min(TILE, length - query);
    for (int row = 0; row < TILE; row++) {
        float product = 0.0f, log_sum = 0.0f;
        if (row < count) {
            for (int column = lane; column < HEAD_DIM; column += WARP)
                product += number(context[place + (long long)row * hidden + column]) * number(d_context[place + (long long)row * hidden + column]);
            log_sum = log_sums[(long long)head * rows + start + query + row];
        }
        product = warp_sum(product);
        unsigned key = row_key(dropout, (unsigned long long)(start + query + row) * heads + head);
        for (int column = lane; column < padded; column += WARP) {
            float weight = 0.0f, d_score = 0.0f;
            if (row < count && column < length) {
                float probability = expf(scores[row * stride + column] * scale - log_sum), keep = kept(dropout, key, column);
                weight = probability * keep;
                d_score = probability * (d_weights[row * stride + column] * keep - product) * scale;
            }
            assign(weights[square + (long long)row * padded + column], weight);
            assign(d_scores[square + (long long)row * padded + column], d_score);
        }
    }
    __syncwarp();
    weighted_rows<Left>(d_scores + square, padded, 1, base + hidden, wide, padded, scores, stride);
    write_rows(scores, stride, d_projected + (long long)(start + query) * wide + head * HEAD_DIM, wide, count, lane);
}

// Gradients of the keys and the values.
extern "C" __global__ void attention_backward_keys(const T *projected, const T *d_context, const int *boundaries, const long long *offsets,
                                                   const T *weights, const T *d_scores, T *d_projected, int heads) {
    extern __shared__ float4 memory[];
    int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
    int head = blockIdx.y, start = boundaries[blockIdx.z], length = boundaries[blockIdx.z + 1] - start;
    int key = (blockIdx.x * (blockDim.x / WARP) + warp) * TILE;
    if (key >= length) return;
    int padded = (length + TILE - 1) / TILE * TILE, count = min(TILE, length - key);
    const int stride = HEAD_DIM + 8;
    float *sums = reinterpret_cast<float *>(memory) + warp * TILE * stride;
    unsigned hidden = heads * HEAD_DIM, wide = 3 * hidden;
    long long first = (long long)start * wide + head * HEAD_DIM, square = offsets[blockIdx.z] + (long long)head * padded * padded;
    T *out = d_projected + first + (long long)key * wide;

    weighted_rows<LeftTransposed>(d_scores + square + key, padded, padded, projected + first, wide, padded, sums, stride);
    write_rows(sums, stride, out + hidden, wide, count, lane);
    weighted_rows<LeftTransposed>(weights + square + key, padded, padded, d_context + (long long)start * hidden + head * HEAD_DIM, hidden, padded,
                                  sums, stride);
    write_rows(sums, stride, out + 2 * hidden, wide, count, lane);
}

// The optimizer, over all parameters in one launch: blocks take pieces of CHUNK elements, those of a parameter from slot.chunk on.
#define CHUNK 16384

struct Slot {
    const float *value;
    const float *gradient;
    const float *first;
    const float *second;
    float *new_value;
    float *new_first;
    float *new_second;
    long long count;
    int chunk;
    float rate;
    float decay;
    int unused;
};

__device__ __forceinline__ const Slot *slot_of(const Slot *slots, int count, int chunk) {
    int low = 0, high = count - 1;
    while (low < high) {
        int middle = (low + high + 1) / 2;
        if (slots[middle].chunk <= chunk) low = middle;
        else high = middle - 1;
    }
    return slots + low;
}

extern "C" __global__ void square_sums(const Slot *slots, int count, float *parts) {
    __shared__ float shared[WARP];
    const Slot *slot = slot_of(slots, count, blockIdx.x);
    long long begin = (long long)(blockIdx.x - slot->chunk) * CHUNK, end = min(slot->count, begin + CHUNK);
    float sum = 0.0f;
    for (long long i = begin + threadIdx.x; i < end; i += blockDim.x) sum += slot->gradient[i] * slot->gradient[i];
    sum = warp_sum(sum);
    if (threadIdx.x % WARP == 0) shared[threadIdx.x / WARP] = sum;
    __syncthreads();
    if (threadIdx.x == 0) {
        float total = 0.0f;
        for (int i = 0; i < blockDim.x / WARP; i++) total += shared[i];
        parts[blockIdx.x] = total;
    }
}

// One block: the root of the sum of all parts.
extern "C" __global__ void finish_norm(const float *parts, int count, float *norm) {
    __shared__ double shared[1024];
    double sum = 0.0;
    for (int i = threadIdx.x; i < count; i += blockDim.x) sum += parts[i];
    shared[threadIdx.x] = sum;
    __syncthreads();
    for (int half = blockDim.x / 2; half > 0; half /= 2) {
        if (threadIdx.x < half) shared[threadIdx.x] += shared[threadIdx.x + half];
        __syncthreads();
    }
    if (threadIdx.x == 0) norm[0] = (float)sqrt(shared[0]);
}

// AdamW, as on CPUs; gradients are scaled down where their norm is above the limit.
extern "C" __global__ void adamw(const Slot *slots, int count, const float *norm, float limit, float beta1, float beta2, float rest1, float rest2,
                                 float correction, float epsilon) {
    const Slot *slot = slot_of(slots, count, blockIdx.x);
    long long begin = (long long)(blockIdx.x - slot->chunk) * CHUNK, end = min(slot->count, begin + CHUNK);
    float scale = limit > 0.0f && norm[0] > limit ? limit / (norm[0] + 1e-6f) : 1.0f;
    for (long long i = begin + threadIdx.x; i < end; i += blockDim.x) {
        float gradient = slot->gradient[i] * scale;
        float first = slot->first[i] * beta1 + gradient * rest1;
        float second = slot->second[i] * beta2 + gradient * gradient * rest2;
        slot->new_first[i] = first;
        slot->new_second[i] = second;
        slot->new_value[i] = slot->value[i] * slot->decay - first / (sqrtf(second) * correction + epsilon) * slot->rate;
    }
}
