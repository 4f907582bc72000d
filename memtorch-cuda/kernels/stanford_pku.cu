// memtorch_devices::models::StanfordPku. Options: whether the gap is noisy.
#include "population.cuh"

constexpr double CHARGE_PER_BOLTZMANN = 1.602176634e-19 / 1.380649e-23;

struct StanfordPku {
    enum { PARAMETERS = 18 };
    double gap_min, gap_max, per_g_0, per_v_0, i_0, t_0, r_th, gamma_0, beta, per_t_ox, f_min, nu_0, activation, hop,
        delta_g_0, t_crit, per_t_smth;
    bool dynamic;

    __device__ StanfordPku(const double* values, const double* options)
        : per_g_0(1.0 / values[2]), per_v_0(1.0 / values[3]), i_0(values[4]), t_0(values[6]), r_th(values[7]),
          gamma_0(values[8]), beta(values[9]), per_t_ox(1.0 / values[10]), f_min(values[11]), nu_0(values[12]),
          activation(CHARGE_PER_BOLTZMANN * values[13]), hop(CHARGE_PER_BOLTZMANN * values[14] / values[10]),
          delta_g_0(values[15]), t_crit(values[16]), per_t_smth(1.0 / values[17]), dynamic(options[0] != 0.0)
    {
        const double g_read = i_0 * lane_sinh(values[5] / values[3]) / values[5];
        gap_min = values[2] * lane_ln(g_read * values[0]);
        gap_max = values[2] * lane_ln(g_read * values[1]);
    }

    template <typename Normal>
    __device__ double step(double gap, double voltage, double dt, const Normal& normal) const
    {
        const double nanometres = gap * 1e9;
        const double gamma = gamma_0 - beta * (nanometres * nanometres * nanometres);
        const bool weak = gamma * fabs(voltage) * per_t_ox < f_min;
        if (weak && !dynamic) {
            return clamped(gap, gap_min, gap_max);
        }
        const double current = i_0 * lane_exp(-(gap * per_g_0)) * lane_sinh(voltage * per_v_0);
        const double temperature = t_0 + fabs(voltage * current) * r_th;
        double rate = 0.0;
        if (!weak) {
            const double per_temperature = 1.0 / temperature;
            const double jump = lane_sinh(gamma * hop * voltage * per_temperature);
            rate = -(nu_0 * lane_exp(-(activation * per_temperature)) * jump);
        }
        if (dynamic) {
            const double onset = 1.0 + lane_exp((t_crit - temperature) * per_t_smth);
            rate = rate + normal() * (delta_g_0 / onset);
        }
        return clamped(gap + dt * rate, gap_min, gap_max);
    }
};

ADVANCE(stanford_pku, StanfordPku)
