// An ArcGIS FeatureServer over one GeoJSON file: node koop.js PORT FILE.
const Koop = require('@koopjs/koop-core')
const fs = require('fs')
const [port, file] = process.argv.slice(2)

class Model {
  async getData () {
    const collection = JSON.parse(fs.readFileSync(file))
    collection.metadata = { name: 'communes', idField: 'number', maxRecordCount: 40, geometryType: 'Polygon' }
    collection.features.forEach((feature, at) => {
      feature.properties.number = at + 1
      feature.properties.surveyed = '2026-11-23T14:00:00.000Z'
    })
    return collection
  }
}

const koop = new Koop({ logLevel: 'error' })
koop.register({ type: 'provider', name: 'test', Model })
koop.server.listen(Number(port), '127.0.0.1')
