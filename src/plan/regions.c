#include "plan/regions.h"

#include <math.h>
#include <string.h>

#define ANY REGION_GPU
#define AT(id, city, north, east) .name = (id), .place = (city), .latitude = (north), .longitude = (east)
#define INVITED REGION_GPU_INVITED

/* clang-format off */
static const struct region regions[] = {
    {AT("africa-south1", "Johannesburg", -26.2, 28.0)},
    {AT("asia-east1", "Changhua, Taiwan", 24.1, 120.5)},
    {AT("asia-east2", "Hong Kong", 22.3, 114.2)},
    {AT("asia-northeast1", "Tokyo", 35.7, 139.7), .disk = true},
    {AT("asia-northeast2", "Osaka", 34.7, 135.5)},
    {AT("asia-northeast3", "Seoul", 37.6, 127.0)},
    {AT("asia-south1", "Mumbai", 19.1, 72.9), .l4 = INVITED},
    {AT("asia-south2", "Delhi", 28.6, 77.2), .rtx_pro_6000 = INVITED},
    {AT("asia-southeast1", "Singapore", 1.35, 103.8), .l4 = ANY, .rtx_pro_6000 = INVITED},
    {AT("asia-southeast2", "Jakarta", -6.2, 106.8)},
    {AT("australia-southeast1", "Sydney", -33.9, 151.2)},
    {AT("australia-southeast2", "Melbourne", -37.8, 145.0)},
    {AT("europe-central2", "Warsaw", 52.2, 21.0)},
    {AT("europe-north1", "Hamina, Finland", 60.6, 27.2)},
    {AT("europe-southwest1", "Madrid", 40.4, -3.7)},
    {AT("europe-west1", "St. Ghislain, Belgium", 50.4, 3.8), .l4 = ANY, .disk = true},
    {AT("europe-west2", "London", 51.5, -0.1)},
    {AT("europe-west3", "Frankfurt", 50.1, 8.7)},
    {AT("europe-west4", "Eemshaven, Netherlands", 53.4, 6.8), .l4 = ANY, .rtx_pro_6000 = ANY},
    {AT("europe-west6", "Zurich", 47.4, 8.5)},
    {AT("europe-west8", "Milan", 45.5, 9.2)},
    {AT("europe-west9", "Paris", 48.9, 2.4)},
    {AT("europe-west10", "Berlin", 52.5, 13.4)},
    {AT("europe-west12", "Turin", 45.1, 7.7)},
    {AT("me-central1", "Doha", 25.3, 51.5)},
    {AT("me-central2", "Dammam", 26.4, 50.1)},
    {AT("me-west1", "Tel Aviv", 32.1, 34.8)},
    {AT("northamerica-northeast1", "Montreal", 45.5, -73.6), .disk = true},
    {AT("northamerica-northeast2", "Toronto", 43.7, -79.4), .disk = true},
    {AT("southamerica-east1", "Sao Paulo", -23.6, -46.6)},
    {AT("southamerica-west1", "Santiago", -33.4, -70.7)},
    {AT("us-central1", "Council Bluffs, Iowa", 41.3, -95.9), .l4 = ANY, .rtx_pro_6000 = ANY, .disk = true},
    {AT("us-east1", "Moncks Corner, South Carolina", 33.2, -80.0), .disk = true},
    {AT("us-east4", "Ashburn, Virginia", 39.0, -77.5), .l4 = ANY, .disk = true},
    {AT("us-east5", "Columbus, Ohio", 40.0, -83.0)},
    {AT("us-south1", "Dallas, Texas", 32.8, -96.8)},
    {AT("us-west1", "The Dalles, Oregon", 45.6, -121.2), .disk = true},
    {AT("us-west2", "Los Angeles, California", 34.1, -118.2)},
    {AT("us-west3", "Salt Lake City, Utah", 40.8, -111.9)},
    {AT("us-west4", "Las Vegas, Nevada", 36.2, -115.1)},
};
/* clang-format on */

enum { COUNT = sizeof regions / sizeof *regions };

const struct region *region_at(size_t n)
{
    return n < COUNT ? &regions[n] : NULL;
}

const struct region *region_find(const char *name)
{
    for (size_t i = 0; i < COUNT; i++)
        if (strcmp(regions[i].name, name) == 0)
            return &regions[i];
    return NULL;
}

const struct region *region_nearest_l4(const struct region *from)
{
    const struct region *best = NULL;
    for (const struct region *r = regions; r < regions + COUNT; r++)
        if (r->l4 == REGION_GPU && (!best || region_km(from, r) < region_km(from, best)))
            best = r;
    return best;
}

/* The haversine formula on a sphere. */
double region_km(const struct region *a, const struct region *b)
{
    const double radius_km = 6371, degree = 3.14159265358979323846 / 180;
    double up = (b->latitude - a->latitude) * degree, across = (b->longitude - a->longitude) * degree;
    double h =
        pow(sin(up / 2), 2) + cos(a->latitude * degree) * cos(b->latitude * degree) * pow(sin(across / 2), 2);
    return 2 * radius_km * asin(sqrt(fmin(h, 1)));
}

double region_round_trip_ms(double km)
{
    const double km_per_ms = 200;
    return 2 * km / km_per_ms;
}
