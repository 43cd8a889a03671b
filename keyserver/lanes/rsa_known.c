/* Known answers of RSA in lanes: a key of each size, made for this file and used for nothing else, and the
 * hash of what it makes of eight numbers, as calculated by another implementation with big integers. */
#include <stddef.h>
#include <string.h>

#include "common/secret.h"
#include "keyserver/lanes/rsa_kernel.h"
#include "keyserver/lanes/rsa_lanes.h"

#define HASH_SIZE 32

struct known {
    size_t size;
    const char *n, *p, *q, *dp, *dq, *qinv; /* hexadecimal */
    const char *hash;                       /* SHA-256 of the eight results, one after the other */
};

static const struct known answers[] = {
    {256,
     "99f9b2a6c159467724c06f8ab587fd8cad9abfce64677bee63af45598280d3f05123e5cc1fe9560b23ba519972176fd0"
     "d57bb89ca2330c24ae2fd9d97b4f26c135b8fd0102b584a44eb69ba1a39e585f76a9a094f41e13bce18218901c1a7898"
     "8861e012431f353686aadeb13554ad2e05d6eb18f523be277773a1d68b95cf8979e0fa90b10390ffe37abce0773d1df7"
     "d7f796cb98df485cbbcd9ee67eb3f9eaf1ba180e74d2e1dff6ae7d6d83a1c4e91e9cfeb3ca475d89de51ee2419ad4b26"
     "1ed03809a861ed64ed1442605d281320627988889bb22926a9fcf475b4ea0ee01eceea41facde206885953b0848e5a84"
     "9a324ed3a1cb32d8a1bd5502be21806b",
     "caf6dab156919508d3c6e53322bf1c5ed082cb33d8806e614f49bea641266ff1fd90fe3eeb1d4f8d0326445f3456470d"
     "71383737495af9a5152693ad5d49a665ac3a7a14e34c6153ced62f3941174683b2b0cdc4fda98543eafc783d1918513e"
     "1c5246486eb2dde838a8507018d464fdda05a4a5b525ee29d72c47a5d23c0ab5",
     "c235c488565736e9921af47e194e6b8e314eba563dfdeb7ce5aaea075be035b8a633ce97fc13861b72272ba35e290300"
     "4e5e528b80ab8bedd9e096488d388a0a4c994295b0b92d7eea0a0add8bd7d62d5c9c4a46ef452848f2b483a12d95acb0"
     "d488f352d845497fcef828a6303d3c9d5e64032bf541bee57915f7575bf1b29f",
     "20257105dd7c396aa8803c15194fc3a290cbe67b53b323c86dd2744bc8cdd9b52e4024c4ba606e151b869815ac286e20"
     "86ea2c74a93dab84a610f21ae7479eff43840f89f76645940c9287f03d8afe3425bd331a1c43194464979043bd11c8ec"
     "5977fe81c266ba16e9c25edb2253a19b4348d9871565e88edff1b7776010fa71",
     "36b66d12b7b84449131732efdf733f4bc4ca582679ba72403277af0cb9ae7593fa86b7da0b72f8a1fccbda38610b8ec3"
     "e45020531ac1b95f1db56ec12bbfd4ebc7de996a9069eace4962e0e2bf45e419cd705e609381d9328be59cfba85af556"
     "afd9912b32b07a5f5e507d2b2c85e3f0b5a9d956e5f64ab05d277a120b5e1123",
     "b63166121c8211138bd321871154a767d84b86e5ede98a9880d60a160002f75ee682469c071840dc41b6d4989fdac0c1"
     "a4b4755a1907e20e4831716b4c59241066ae91ffc8594bf4429ea10d57d4178721932f0dda9f567fde0b9e17e09b707d"
     "9405081d68a0a3dcf59cf66a45de0f597bd3e4189d436ae4059ead0438f765d4",
     "76d970c7d04d751c2e095787b918d120498f36d2f5fbad5a5ed62f1c6e7c6806"},
    {384,
     "9b3def01518b65551d3b310b4c6475428d08730cbdc8a0fb89b456ae16b1aaf848b07d6c98050177bdb7030a03983340"
     "a0a2511f14d078e871a9ce71ce7fc9b0e1d86ce40d9117f8a9516c7c4f00100712e1a719ab0f51b8b877ab3d8dc400e8"
     "cc8f102482f0cc878c5137543216289ffc9d912049bd178afdbb7006266d8cdff109a94a1a1fe261ca68f6bdeb296e64"
     "507b3c28149cc6eec50abdb5cac27f84c150064d1a4ca272baf52baefb7cc977a231c134ef112a2b4ef46a990ee7b90d"
     "181c415096f680e7d3c384cdca04e5eccde214665eeaa17a4afbac17e9775978391ac0a932e9c3de5c45c3132ae39c2a"
     "64d90da307091392b7294812391083b8b999e1e144b2e46da1d7d2d60c641dc6b6c3a21893914d3976e786b70604ec94"
     "41dcc7ab158f12cb5d8896b4f73694054330234bd8e15c5f974c10f665ade4950e778dfce2050f3627b1a96134e55ac5"
     "6b73ffe1add36ec526795314bf3c8c4a35bb6f8ae54ef6de4fdc900b21b38001c7c81258f63023b4458d12e602c88bd5",
     "c82d38a594c8fe3a9c843f8b879e82160170d8c76f9a383222233236becfd235ebe0d982fefc59536c55e05af6621a8b"
     "34a87b40369277b801da82926f1df2bbd4b760b22da1a0a2feb85a6f3aa15f41de715abfc31d7ac649fcab8ee718545f"
     "5cf623e79babb83f3b7fff027476018f872e80fa9237e99ef141119f98b0c6f9b79935554f63b3ddb4c92bcad5115cae"
     "9c562a46287b2318f60da2df4f6b830bed960beac9785344394335f50da7a5dacc0d20a99de91dd6a8153a41d92c0355",
     "c688c8ff8e37072e58cca6d3d9f33cd87ef09d9795644b0067883fcb9e81e9faa3f1ced9eaef774426e629cce284af3d"
     "77ca52a43d0778f94603294f8bce3ff5330eaaa97c84cb047f67145218b7d9bbc23f853336096c70151f065cec80de3a"
     "eb9d9a11c55484159ec414c12b4ad8b93c008c14c0a8b69291aee89de4e66371aa8457c8698952ac20d515649fadd361"
     "fe7c77dc3c7dc09b901534dc4b3375212981e7d19568a2a19d9105a032b6e74a53cc6d8b69288d6557dfbd338f2b6681",
     "9d96cc43bed04524cb5769d764db2aba3c4424c54d5cf1e4b5ef5376b9dd4e36590e58eec1e2d447d2c000b25bc97bf0"
     "1f728c254f511ba2e702a94cb2e1b6d89c6c0959fc8683ba0e22004014be3a09d71f123c6954e9f4f5064fe15e994ec3"
     "0ca2523de1d5dc651b6876cfedf380e3079f5ab6e929cf67ebb2383796b384d1cef2748446cdcd2a3b4b2c88b018cd08"
     "41d7abcc33ce4d21378420b7010538d3c9251918aba768960b269871e560183819f033c894a293750c3a39f4e10dbf49",
     "456ba6fcd539a0a5301fbf65ec9c04f69ecc7c0e790a6cbf63745cfa521e93363505649306775d78d3314004886064f6"
     "5560c5acf03a20aee93049cdaad11fc4196a537a9833c6d977c30f73f578b405d75266bd15740e1ad307da2dbbf503c0"
     "0e8b3948657bbc03e35424fdb6a9a14684189ce2d4cb29abee8cfe81d77c47e183026bbf8447a444d3e62e68d4fcef21"
     "20df5cfa019ce7307e1d2c32ab88feb7edcfa2c3c23ea83f62dd46de515d6b5aae1a99635a0df8032bcaec598f025a01",
     "3b002e68c98487b2ada46282de72008736e025cf16360f257127638c1ddd5e9a6aefdc0439ddb5ca9b2ec782081a84b3"
     "1cf83a7f402b2adf5515aecea5f5351118c563abf6365937a553bab09092f8231e8f775997f7c3be3ff5fd2ca964d279"
     "766f2e33abf018049daf4e231a3ba5dfb0d1d8476a6d428c07118f79cd9d61347bb656c51de3208a3656612fe9656fad"
     "6433b19eb8186cc5d47c709acbac5faec590acef5a564ac60d848ac17980bf25014d3b98b5370f0920943948b1a25d16",
     "75d1eb73f2758b70d1094a86e5c5b2cf824060301e1ba918f790514426d1c7e6"},
    {512,
     "cc3d81b39b56ef6173dfa2b8f95710d6ae6688f18729bd6f49595ca3269ce3f5de7b876fb87686c58809c8a6afb15312"
     "e929b512db73f81b9a44c0467ab4c7f25224c15251b19c4fbf6bb76c6b374a6781239c7462fd6e441cb120506806b40b"
     "e73f8c15920aa3f55f163c75b46bb2f6dcf99336e6165dbfaa65ab31b4431396d58299d6d4386da8629ca3d8bfd57a1f"
     "a955929bc153c9aec8a4d100f7c9761a062ddf30111cbaa7195b073126d7e3302bdacddcbaa06825aad352a19bafad81"
     "ff4cf4ebee4027611adc3865fe265a2783fcfd1c2f4faa5099426b8591ebf6842db426413f967c7c602f32f4501924b6"
     "ccb0a2959ee7224e0cc1da008af9148694a6da9b1e4803d0d0e14af02dd7cefbd10910c8ff320ec874c083993f3a425b"
     "43f61efcae0895e1b90c8d6b2b4b0cf03f8fe24dbf7b95e04fc53c9ae862b4303a37ef6687ea89a3d0efcbc0b98e9197"
     "6aeb4d2c8a0b35d57ae42327ed53104089cceab9d735576d321c5ccca538f3952f0f401a7cd079cc08b678198431eb01"
     "fa7ccd0d32f5aaf9833da038dca68f15774e33feb88cebf1febd702d21698aefeda4364131334953c00ef770f795a256"
     "e087b8441c427d37ba1c3317772f8c273cad642256cc05fb5daf843a04a52b9d045bea0bd8143fedd6fe3d8e64db5075"
     "eb5fc083a50dfcdd71c2509fa4c0843697b444fe2582db49a10ab7a5ffce7ef9",
     "fc4ce9a2c1ea53b56410b5303f306a508d9db1ca663cceba3603732fb9a9646973e9fdbe117732f065429da83a5e2b00"
     "acb3376623c0c2f81c98b0fe5a759583db3092cc019a35a36bb9d5680db1b89f93592496a056e39078f1aba73871a907"
     "f4e77223e000e74c2d10a6a8da26f5c8f70ca4efe4bc9d979764c2c391ffe534525ad3ecad15d8f9a19c457da8e99a6c"
     "1b457d388a9c5881ee4e3ef5d3d2f41d08d97840052bf1f9913eb62090e384606e180a43aa75191a998ac0bb9ae672a1"
     "02e1f9e9369d74421a686d84ce9cee58e31958f9d5dfbf0d18f688edcd1284b321e51a7740822af19a490da2f3b3bb8e"
     "844db9044e9d151c0227ebabe7d20739",
     "cf3c2f71c4638dc2065cde19e5038dcb94ba563e0880975cb31fe9771fe5ee282049a26eb410d1512f80ad0884cdc9ba"
     "86b508ca49ddfa804df4f151323e8ede3825e123682cd12a9a789b7ea0d5df87b32d957c702a324c78ac5a56c8c89d36"
     "49eb8afb9e4d114c7b499e4b3fa6d9e5442b4e7af690499e88ae8de13249aff71d6929a7573bf9ce9168357760e52304"
     "0e43cf58147007a70bf6b2bec1a34f14ff3b125f575fe478919ef2adf3a7e52dca6ea9b63f8ad1635aaa63235b4cecf9"
     "f74b1b9be56fab88024bd0533c5a555a6075565127fdec90bd9c7bb5cf5550e0da9bd7bd3b26056261a7341776491111"
     "052ee3e2df40352aaf7d38e42c7a75c1",
     "5ebc027e3a91e21c9a162bf291c77c240308d3594c4a48d562b2a8eda2a9182b007b3bebc2631f9d64683f0a8be01005"
     "90d33a59ffd2c162a85a2d1b549c122810858c994d80b9e342efe451cdd28da05d937b4993ab0c8792e22bb1fe5faf38"
     "6d9cfa1ebe5d987be1effea42845b8c45cff426f515401588a602b4183f0b1ff936cc76677175d015ecd6eca604256d9"
     "80e3f6c0e44b1070b92a6839a5efeff976f9314dd8a347988e111e11dc5591bf2397a343051e32eee9f84fa621e3a5e7"
     "0f4e0aa8a6f9384e19dc5c4321d18b2d95184f707ffe239ea760eac95fd7343c8edd97b26f6670f987152729a8983434"
     "af38ffdfbe24fd6826e71676d5f4e701",
     "6a2a250c1d55fafb59131e5d19abb66a82e8eae1a0ad6fdd778e73a6295b3ba4a6d5d236f05c653f381cad885db0a715"
     "bd88e4d5ecfda12535cab40daab5cdaf1e0899cbefc475eb637342059f13b20decc6ff7bde625f9e397be253ef4c86ed"
     "96f4ea20793a76103e60ba8d46308e141bd62bc066ac086b050e9774b4b477471b741278be01e5b9e358057c00d1a21c"
     "a3ca2d60ac27b063ed87168f0ed840dd3adbe24fa18d689833d1bff5498bcba6a7bc05896e0809b8e26bc39a0b5ddf51"
     "3754ecf1f29a40bfce9d543e2ffeff16ebaf70e6e69bf9233560032862ed0c20051e2d69adf18e74961e785b44a7adec"
     "90413351b899462375ffaab389edba81",
     "6c3b0944388c4f4c420016ceb28df7aa89400890e7c823eb70cad1de7d20ef9e7a9d86a55d90e282ac1c09225b352217"
     "1816e23161acd9f94a48c11eb8397ebf7202f9fb61cf12e6616ff894a847d1cfaa6b72f4c37e6c5b7b1f689fe2ed0fc9"
     "e8cb13bf064c9329489b638a47beeda456a577ed1840f35804302601c4cd98f7372c2eb470e7cf760ede5ef2aac452cb"
     "c8a9ec3eb8a8490410e237e92ea0a66e473bc58107c2adb5e8e494b4083bd992eb4a585d125f9fdc7c3d7c61d51d3812"
     "0deb704ea5c4e2855b72fd0c872d5c9defcdcf140f25a102dbe232b21306990de3debb6fc3f5d7fcd8d2bf51fab2e202"
     "8a04948e632901663acdf195a33d8cd2",
     "df9eb6a2522b0fa7c5d16d67e861e321771b52d30824da94fd9ffb4cd7d746be"},
};

static uint8_t nibble(char digit)
{
    return (uint8_t)(digit <= '9' ? digit - '0' : digit - 'a' + 10);
}

/* Returns OUT. */
static const uint8_t *read_hex(uint8_t *out, const char *text)
{
    for (size_t i = 0; text[2 * i] != '\0'; i++)
        out[i] = (uint8_t)(nibble(text[2 * i]) << 4 | nibble(text[2 * i + 1]));
    return out;
}

static int read_known(struct rsa_lanes_key **out, const struct known *known)
{
    uint8_t n[RSA_LANES_SIZE_MAX], part[5][RSA_LANES_SIZE_MAX / 2];
    const struct rsa_numbers numbers = {
        .size = known->size,
        .e = RSA_LANES_EXPONENT,
        .n = read_hex(n, known->n),
        .p = read_hex(part[0], known->p),
        .q = read_hex(part[1], known->q),
        .dp = read_hex(part[2], known->dp),
        .dq = read_hex(part[3], known->dq),
        .qinv = read_hex(part[4], known->qinv),
    };
    return rsa_lanes_key_new(out, &numbers);
}

/* The eight numbers: 1, n - 1, and what hashes are of. */
static void fill_input(uint8_t *in, const struct known *known, uint8_t lane)
{
    for (size_t i = 0; i < known->size / HASH_SIZE; i++)
        sha256(in + HASH_SIZE * i, (const uint8_t[]){lane, (uint8_t)i}, 2);
    in[0] = 0;
    if (lane == 0) {
        memset(in, 0, known->size);
        in[known->size - 1] = 1;
    }
    if (lane == 1) {
        read_hex(in, known->n);
        in[known->size - 1] &= 0xfe; /* n is odd */
    }
}

static bool perform_known(struct rsa_lanes_scratch *scratch, struct rsa_lanes_blinding *blinding,
                          const struct known *known)
{
    uint8_t numbers[LANES * RSA_LANES_SIZE_MAX], hash[HASH_SIZE], expected[HASH_SIZE];
    struct rsa_lanes_item items[LANES];
    bool good = true;
    for (uint8_t lane = 0; lane < LANES; lane++) {
        uint8_t *number = numbers + lane * known->size;
        fill_input(number, known, lane);
        items[lane] = (struct rsa_lanes_item){.blinding = blinding, .in = number, .out = number};
    }
    rsa_lanes_perform(scratch, items, LANES);
    for (size_t lane = 0; lane < LANES; lane++)
        good = good && items[lane].err == 0;
    sha256(hash, numbers, LANES * known->size);
    return good && memcmp(hash, read_hex(expected, known->hash), HASH_SIZE) == 0;
}

/* Twice: with a new blinding, and with one that was squared. */
static bool test_known(struct rsa_lanes_scratch *scratch, const struct known *known)
{
    struct rsa_lanes_key *key = NULL;
    if (read_known(&key, known) != 0)
        return false;
    struct rsa_lanes_blinding *blinding = rsa_lanes_blinding_new(key);
    bool good = blinding != NULL && perform_known(scratch, blinding, known) &&
                perform_known(scratch, blinding, known);
    rsa_lanes_blinding_free(blinding);
    rsa_lanes_key_free(key);
    return good;
}

bool rsa_lanes_self_test(const struct rsa_kernel *kernel)
{
    struct rsa_lanes_scratch *scratch = rsa_lanes_scratch_new(kernel);
    bool good = scratch != NULL;
    for (size_t i = 0; good && i < sizeof answers / sizeof answers[0]; i++)
        good = test_known(scratch, &answers[i]);
    rsa_lanes_scratch_free(scratch);
    return good;
}
