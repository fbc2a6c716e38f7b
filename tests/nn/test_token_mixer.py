"""RankMixer's mixing by hand, tokens of fields, one network per token."""

from __future__ import annotations

import torch
from torch.nn import functional

from ctrkit.nn.interactions.token_mixer import MixerLayer, TokenMixer, mix_tokens


def test_mixing_by_hand():
    x = torch.tensor([[[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]]])  # two tokens of two heads
    assert mix_tokens(x).tolist() == [[[1.0, 2.0, 5.0, 6.0], [3.0, 4.0, 7.0, 8.0]]]
    assert torch.equal(mix_tokens(mix_tokens(x)), x)


def test_a_layer_has_one_network_per_token():
    layer = MixerLayer(3, 6, 2, 0.0)
    x = torch.randn(4, 3, 6)
    mixed = functional.layer_norm(mix_tokens(x) + x, (6,))
    for t in range(3):
        inner = functional.gelu(mixed[:, t] @ layer.up[t] + layer.up_bias[t])
        out = inner @ layer.down[t] + layer.down_bias[t]
        expected = functional.layer_norm(out + mixed[:, t], (6,))
        assert torch.allclose(layer(x)[:, t], expected, atol=1e-5)


def test_a_token_is_the_projection_of_its_concatenated_fields():
    net = TokenMixer(5, 3, tokens=2, head_dim=2, layers=1)
    seen = []
    net.layers[0].register_forward_hook(lambda module, inputs, out: seen.append(inputs[0]))
    x = torch.randn(4, 5, 3)
    net(x)
    first = x[:, :3].flatten(1) @ net.weight[:3].reshape(9, 4) + net.bias[0]
    second = x[:, 3:].flatten(1) @ net.weight[3:].reshape(6, 4) + net.bias[1]
    assert torch.allclose(seen[0], torch.stack([first, second], dim=1), atol=1e-5)


def test_more_tokens_than_fields_leave_some_to_their_bias():
    net = TokenMixer(2, 3, tokens=4, head_dim=2, layers=1)
    assert net(torch.randn(5, 2, 3)).shape == (5, 8)
