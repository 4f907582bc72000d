// The vectors that the positions of a convolution's kernel see: [vector, channel and kernel element].
#include "common.cuh"

// memtorch_crossbar::PatchGeometry.
struct Geometry {
    u64 channels;
    u64 input[3], kernel[3], stride[3], dilation[3], padding[3], output[3];
};

KERNEL(gather)(const float* images, float* vectors, u64 first, u64 count, Geometry geometry)
{
    const u64 kernel = geometry.kernel[0] * geometry.kernel[1] * geometry.kernel[2];
    const u64 positions = geometry.output[0] * geometry.output[1] * geometry.output[2];
    const u64 length = geometry.channels * kernel;
    const u64 stride = (u64)gridDim.x * blockDim.x;
    for (u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x; i < count * length; i += stride) {
        u64 position = (first + i / length) % positions, element = i % length % kernel;
        u64 at[3], offset[3];
        for (int axis = 2; axis >= 0; axis--) {
            at[axis] = position % geometry.output[axis];
            offset[axis] = element % geometry.kernel[axis];
            position /= geometry.output[axis];
            element /= geometry.kernel[axis];
        }
        // The image, then the channel, then its depth, height and width.
        u64 source = (first + i / length) / positions * geometry.channels + i % length / kernel;
        bool inside = true;
        for (int axis = 0; axis < 3; axis++) {
            const u64 place = at[axis] * geometry.stride[axis] + offset[axis] * geometry.dilation[axis];
            inside = inside && place >= geometry.padding[axis]
                && place - geometry.padding[axis] < geometry.input[axis];
            source = source * geometry.input[axis] + place - geometry.padding[axis];
        }
        vectors[i] = inside ? images[source] : 0.0f;
    }
}
REGISTER(gather)
